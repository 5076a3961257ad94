//! One request as the manifest describes it: method, URL, headers, query and body, parsed once.

use std::collections::BTreeMap;

use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    AdapterError, TurnError,
    client::{Ask, header_name, same_origin},
    tree::{FillError, Tree},
};
use crate::{manifest::endpoint::Request, source::Route};

/// One request, parsed.
pub(super) struct Sending {
    method: Method,
    url: Option<Tree>,
    headers: Vec<(HeaderName, Tree)>,
    query: Vec<(String, Tree)>,
    body: Option<Tree>,
    route: Route,
}

impl Sending {
    /// Parses every template and fills each in once for trial, so that an unknown name stands at its place.
    pub(super) fn compile(
        request: &Request,
        route: &Route,
        values: &BTreeMap<String, String>,
    ) -> Result<Self, AdapterError> {
        let at = route.join("method");
        let method: Method = request
            .method
            .to_uppercase()
            .parse()
            .map_err(|_invalid| AdapterError::at(&at, format!("`{}` is no HTTP method", request.method)))?;
        let has_body = !request.body.is_null() && !matches!(method, Method::GET | Method::HEAD);
        let headers = request.headers.iter().map(|(name, text)| {
            let at = route.join("headers").join(name);
            Ok((header_name(name, &at)?, Tree::leaf(text, &at)?))
        });
        let query = request
            .query
            .iter()
            .map(|(name, text)| Ok((name.clone(), Tree::leaf(text, &route.join("query").join(name))?)));
        let sending = Self {
            method,
            url: request.url.as_ref().map(|url| Tree::leaf(url, &route.join("url"))).transpose()?,
            headers: headers.collect::<Result<_, AdapterError>>()?,
            query: query.collect::<Result<_, AdapterError>>()?,
            body: has_body.then(|| Tree::compile(&request.body, &route.join("body"))).transpose()?,
            route: route.clone(),
        };
        sending.rehearse(&sample(values))?;
        Ok(sending)
    }

    fn rehearse(&self, sample: &Value) -> Result<(), AdapterError> {
        let route = &self.route;
        self.url.iter().try_for_each(|url| url.rehearse(sample, &route.join("url")))?;
        self.body.iter().try_for_each(|body| body.rehearse(sample, &route.join("body")))?;
        let headers = self.headers.iter().map(|(name, tree)| (tree, route.join("headers").join(name)));
        let query = self.query.iter().map(|(name, tree)| (tree, route.join("query").join(name)));
        headers.chain(query).try_for_each(|(tree, route)| tree.rehearse(sample, &route))
    }

    /// Whether a template has the name in it.
    pub(super) fn mentions(&self, name: &str) -> bool {
        let headers = self.headers.iter().map(|(_, tree)| tree);
        let query = self.query.iter().map(|(_, tree)| tree);
        self.url.iter().chain(&self.body).chain(headers).chain(query).any(|tree| tree.mentions(name))
    }

    /// The request with every place filled in; `headers` are those of every request.
    pub(super) fn ask(&self, home: &Url, values: &Value, mut headers: HeaderMap) -> Result<Ask, TurnError> {
        let failed = |error: FillError| unfilled(&self.route, &error);
        let mut url = match &self.url {
            None => home.clone(),
            Some(tree) => resolved(home, tree, values, &self.route.join("url"))?,
        };
        for (name, tree) in &self.query {
            let value = tree.fill_text(values).map_err(failed)?;
            url.query_pairs_mut().append_pair(name, &value);
        }
        let body = match &self.body {
            None => None,
            Some(tree) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let tree = tree.fill(values).map_err(failed)?;
                Some(serde_json::to_vec(&tree).expect("JSON values can be written"))
            }
        };
        for (name, tree) in &self.headers {
            let text = tree.fill_text(values).map_err(failed)?;
            let value = HeaderValue::from_str(&text).map_err(|_invalid| {
                let at = self.route.join("headers").join(name).dotted();
                TurnError::Setup(format!("`{at}` gives what cannot stand in a header"))
            })?;
            headers.insert(name.clone(), value);
        }
        Ok(Ask { method: self.method.clone(), url, headers, body })
    }
}

/// A URL relative to the endpoint. What was filled in may choose the path but never the server.
pub(super) fn resolved(home: &Url, tree: &Tree, values: &Value, route: &Route) -> Result<Url, TurnError> {
    let text = tree.fill_text(values).map_err(|error| unfilled(route, &error))?;
    let url = home.join(&text).map_err(|error| TurnError::Setup(format!("`{}`: {error}", route.dotted())))?;
    let named = match tree {
        Tree::Fixed(_) => true,
        Tree::Text(template) => {
            let head = template.source().split("{{").next().unwrap_or_default();
            // A slash after the server's name, so that the name itself is complete.
            head.matches('/').count() > 2 && home.join(head).is_ok_and(|fixed| same_origin(&fixed, &url))
        }
        Tree::Name { .. } | Tree::Made(_) | Tree::List(_) | Tree::Map(_) => false,
    };
    if named || same_origin(&url, home) {
        return Ok(url);
    }
    Err(TurnError::Setup(format!("`{}` leads to another server than `endpoint.url`", route.dotted())))
}

fn unfilled(route: &Route, error: &FillError) -> TurnError {
    TurnError::Setup(format!("`{}` cannot be filled in: {error}", route.dotted()))
}

/// Values of the kinds that a first turn has.
fn sample(values: &BTreeMap<String, String>) -> Value {
    json!({
        "prompt": "1", "messages": [{"role": "user", "content": "1"}], "history": [], "turn": 0, "session": {},
        "run": {"id": "1"}, "trial": {"id": "1", "token": "1"}, "tools_url": "http://127.0.0.1:1/t/1/tools",
        "traceparent": "1", "baggage": "1",
        "values": values
    })
}
