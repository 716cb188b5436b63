//! curl with static files and preflights.

use eventwire::{
    Config, ContentType, Cors, EventLoop, HttpResponse, Routes, ServerConfig, StaticFile,
};

use super::client::CURL;
use super::server::Looping;

#[test]
fn curl_gets_parts_and_news_and_asks_before_it_writes() {
    let Some(curl) = CURL.find() else { return };
    let cors = Cors::origins(["https://app.example"]).unwrap();
    let cors = cors.allow_headers(["Content-Type"]).unwrap();
    let routes = |_: &mut EventLoop<()>| {
        Routes::new()
            .cors("/*", cors)
            .file("/file", StaticFile::new(ContentType::TEXT, "0123456789"))
            .put("/rooms/{room}", |_, request, _| {
                let room = request.param("room").unwrap_or_default();
                HttpResponse::text(format!("{room}: {} bytes", request.body().len()))
            })
    };
    let server = Looping::serve(Config::default(), ServerConfig::default(), routes);
    curl.run("files_with_curl.sh", &[&server.address.to_string()]);
}
