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
