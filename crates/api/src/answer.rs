//! A success in the envelope that every answer wears (api/README "Envelope").

use crate::envelope;
use crate::paging::Page;
use bytes::Bytes;
use http::{Response, StatusCode};
use narthex_model::RayId;
use serde_json::{Value, json};

/// A success, before it is put into its envelope.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    result: Value,
    info: Option<Value>,
    message: Option<&'static str>,
    /// A document in place of the envelope: its type and text.
    document: Option<(&'static str, String)>,
}

impl Answer {
    fn with(status: StatusCode, result: Value) -> Self {
        Self { status, result, info: None, message: None, document: None }
    }

    /// 200: what was read or replaced.
    pub(crate) fn ok(result: Value) -> Self {
        Self::with(StatusCode::OK, result)
    }

    /// 201: what was made.
    pub(crate) fn created(result: Value) -> Self {
        Self::with(StatusCode::CREATED, result)
    }

    /// 202: what was deleted or revoked.
    pub(crate) fn accepted(result: Value) -> Self {
        Self::with(StatusCode::ACCEPTED, result)
    }

    /// 200 with one page of a list and the five numbers that clients count on.
    pub(crate) fn page(page: Page, items: Vec<Value>, total: u64) -> Self {
        let info = page.info(items.len(), total);
        Self { info: Some(info), ..Self::ok(Value::Array(items)) }
    }

    /// The page of a list that is at hand as a whole.
    pub(crate) fn page_of<T>(
        page: Page,
        all: Vec<T>,
        mut document: impl FnMut(&T) -> Value,
    ) -> Self {
        let items = page.cut(&all).iter().map(&mut document).collect();
        Self::page(page, items, all.len() as u64)
    }

    /// 200 with a document of this type, which wears no envelope.
    pub(crate) fn document(kind: &'static str, text: String) -> Self {
        Self { document: Some((kind, text)), ..Self::ok(Value::Null) }
    }

    /// The same answer with a remark in `messages`.
    pub(crate) fn remarking(self, message: &'static str) -> Self {
        Self { message: Some(message), ..self }
    }

    /// The response that leaves the gateway.
    pub(crate) fn respond(self, ray: &RayId) -> Response<Bytes> {
        if let Some((kind, text)) = self.document {
            return envelope::bare(self.status, kind, text, ray);
        }
        let messages: Vec<Value> =
            self.message.iter().map(|text| json!({"code": 10000, "message": text})).collect();
        let mut body = json!({
            "success": true, "errors": [], "messages": messages, "result": self.result,
        });
        if let Some(info) = self.info {
            body["result_info"] = info;
        }
        envelope::respond(self.status, &body, ray)
    }
}
