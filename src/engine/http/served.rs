//! What is served at a path, by method.

use std::fmt;

use crate::proto::http::{HttpRequest, InvalidRoute, Pattern, is_token};

/// What is served at the paths that a pattern matches.
pub(crate) struct Served<T> {
    pub(crate) pattern: Pattern,
    /// At least one, each method once.
    pub(crate) by_method: Vec<(Method, T)>,
}

/// What a request asks for at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `GET` that asks for a WebSocket.
    WebSocket,
    Http(String),
}

impl Method {
    /// Checks that requests can have it.
    pub(crate) fn check(&self, path: &str) -> Result<(), InvalidRoute> {
        match self {
            Self::Http(method) if method == "CONNECT" || !is_token(method.as_bytes()) => {
                Err(InvalidRoute::Method { path: path.to_owned(), method: method.clone() })
            }
            Self::Http(_) | Self::WebSocket => Ok(()),
        }
    }

    /// The method of the requests.
    fn name(&self) -> &str {
        match self {
            Self::WebSocket => "GET",
            Self::Http(method) => method,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebSocket => f.write_str("WebSocket"),
            Self::Http(method) => f.write_str(method),
        }
    }
}

impl<T> Served<T> {
    /// Adds what is served for a method. `path` is a pattern that matches the same paths.
    pub(crate) fn add(&mut self, method: Method, path: String, it: T) -> Result<(), InvalidRoute> {
        let other = self.pattern.to_string();
        if path != other {
            return Err(InvalidRoute::OtherNames { path, other });
        }
        if self.by_method.iter().any(|(taken, _)| *taken == method) {
            return Err(InvalidRoute::Taken { path, method: method.to_string() });
        }
        self.by_method.push((method, it));
        Ok(())
    }

    /// The same methods with what `change` makes of each.
    pub(crate) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Served<U> {
        let by_method = self.by_method.into_iter();
        let by_method = by_method.map(|(method, it)| (method, change(it))).collect();
        Served { pattern: self.pattern, by_method }
    }

    /// What serves a request for the path. `None` if the path does not have the method.
    ///
    /// A path that has a WebSocket alone gives it all methods but `OPTIONS`: it refuses them.
    pub(crate) fn find(&self, request: &HttpRequest<'_>) -> Option<&T> {
        let method = request.method();
        if let [(Method::WebSocket, only)] = &self.by_method[..] {
            return (method != "OPTIONS").then_some(only);
        }
        let http = self.http(method).or_else(|| (method == "HEAD").then(|| self.http("GET"))?);
        match self.web_socket() {
            Some(it) if method == "GET" && (http.is_none() || request.asks_for_web_socket()) => {
                Some(it)
            }
            _ => http,
        }
    }

    fn http(&self, method: &str) -> Option<&T> {
        let is_it = |(it, _): &&(Method, T)| matches!(it, Method::Http(name) if name == method);
        self.by_method.iter().find(is_it).map(|(_, it)| it)
    }

    fn web_socket(&self) -> Option<&T> {
        self.by_method.iter().find(|(method, _)| *method == Method::WebSocket).map(|(_, it)| it)
    }
}

/// The methods of paths, as the header `Allow` lists them.
pub(crate) fn allow<'a, T: 'a>(paths: impl IntoIterator<Item = &'a Served<T>>) -> String {
    let mut names = Vec::new();
    for (method, _) in paths.into_iter().flat_map(|served| &served.by_method) {
        let follows = matches!(method, Method::Http(name) if name == "GET").then_some("HEAD");
        for name in [Some(method.name()), follows].into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::routes::Routes;
    use crate::proto::http::{HeadLimits, HttpResponse};

    /// The pattern that matches `path` among routes with these.
    fn found(patterns: &[&str], path: &str) -> Option<String> {
        let page = || HttpResponse::new(200);
        let routes = patterns.iter().fold(Routes::<()>::new(), |all, it| all.page(*it, page()));
        let served = routes.into_served().unwrap();
        let served = served.into_iter().find(|served| served.pattern.matches(path))?;
        Some(served.pattern.to_string())
    }

    #[test]
    fn exact_paths_precede_parameters_and_those_prefixes() {
        let patterns =
            ["/*", "/rooms/*", "/rooms/1", "/rooms/1*", "/{a}/{b}", "/rooms/{b}", "/{a}/users"];
        for (path, expected) in [
            ("/", "/*"),
            ("/rooms", "/*"),
            ("/rooms/", "/rooms/*"),
            ("/rooms/1", "/rooms/1"),
            ("/rooms/12", "/rooms/{b}"),
            ("/rooms/users", "/rooms/{b}"),
            ("/cars/users", "/{a}/users"),
            ("/cars/2", "/{a}/{b}"),
            ("/rooms/12/3", "/rooms/1*"),
            ("/rooms/2/3", "/rooms/*"),
            ("/cars/2/3", "/*"),
        ] {
            assert_eq!(found(&patterns, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(found(&patterns[2..], "/"), None);
    }

    #[test]
    fn a_method_finds_its_own_resource() {
        let http = |method: &str| Method::Http(method.to_owned());
        let path = |methods: &[Method]| Served {
            pattern: Pattern::parse("/").unwrap(),
            by_method: methods.iter().map(|it| (it.clone(), it.to_string())).collect(),
        };
        let both = path(&[Method::WebSocket, http("GET"), http("POST")]);
        let post = path(&[http("POST"), Method::WebSocket]);
        let only = path(&[Method::WebSocket]);
        let own = path(&[http("HEAD"), http("GET"), http("OPTIONS")]);
        for (served, method, upgrade, expected) in [
            (&both, "GET", "websocket", Some("WebSocket")),
            (&both, "GET", "h2c, WebSocket", Some("WebSocket")),
            (&both, "GET", "h2c", Some("GET")),
            (&both, "GET", "", Some("GET")),
            (&both, "HEAD", "websocket", Some("GET")),
            (&both, "POST", "websocket", Some("POST")),
            (&both, "PUT", "websocket", None),
            (&both, "get", "", None),
            (&post, "GET", "", Some("WebSocket")),
            (&post, "HEAD", "", None),
            (&post, "POST", "", Some("POST")),
            (&only, "POST", "", Some("WebSocket")),
            (&only, "OPTIONS", "", None),
            (&own, "HEAD", "", Some("HEAD")),
            (&own, "OPTIONS", "", Some("OPTIONS")),
        ] {
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nUpgrade: {upgrade}\r\n\r\n");
            let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
            let found = served.find(&request).map(String::as_str);
            assert_eq!(found, expected, "{method} {upgrade}");
        }
        assert_eq!(allow([&both]), "GET, HEAD, POST");
        assert_eq!(allow([&post]), "POST, GET");
        assert_eq!(allow([&only]), "GET");
        assert_eq!(allow([&own]), "HEAD, GET, OPTIONS");
        assert_eq!(allow([&only, &both]), "GET, HEAD, POST");
    }

    #[test]
    fn routes_that_match_the_same_requests_are_refused() {
        let page = || HttpResponse::new(200);
        let routes = || Routes::<()>::new().metrics("/a").metrics("/a*").page("/{b}/c", page());
        assert!(
            routes().post("/a", |_, _, _: &mut ()| HttpResponse::new(204)).into_served().is_ok()
        );
        let (path, method) = ("/a".to_owned(), "GET".to_owned());
        let error = routes().page("/a", page()).into_served().err();
        assert_eq!(error, Some(InvalidRoute::Taken { path, method }));
        let (path, other) = ("/{d}/c".to_owned(), "/{b}/c".to_owned());
        let error = routes().page("/{d}/c", page()).into_served().err();
        assert_eq!(error, Some(InvalidRoute::OtherNames { path, other }));
        for method in ["", "A B", "CONNECT"] {
            let error = Method::Http(method.to_owned()).check("/");
            let (path, method) = ("/".to_owned(), method.to_owned());
            assert_eq!(error, Err(InvalidRoute::Method { path, method }));
        }
    }
}
