//! Files in the program itself, as the build packed them: a deflated JSON object of texts by path.

use std::{collections::BTreeMap, io::Read as _, sync::Arc};

/// The texts of a pack, by their paths in the repository.
pub fn unpacked(pack: &[u8]) -> BTreeMap<String, Arc<str>> {
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(pack).read_to_end(&mut plain).expect("the build deflated it");
    let texts: BTreeMap<String, String> = serde_json::from_slice(&plain).expect("the build wrote JSON");
    texts.into_iter().map(|(path, text)| (path, text.into())).collect()
}
