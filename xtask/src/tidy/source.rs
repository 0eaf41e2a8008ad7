//! Rules on the text and the syntax of the sources.

use super::{Breach, tree::File, tree::Tree};
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::visit::Visit;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions over the limits that are known. It may only shrink.
const RATCHET: &str = include_str!("../../tidy.list");

/// Words that name nothing, as a part of a type, function or file name.
const VAGUE: [&str; 8] =
    ["session", "stream", "action", "manager", "handler", "util", "common", "misc"];

/// Vague words that are netfilter's own for something, and where: a UDP flow that goes on is a
/// stream (`nf_conntrack_udp_timeout_stream`).
const NETFILTER_WORDS: [(&str, &str); 1] = [("stream", "crates/conntrack/src/proto/")];

/// Beginnings of function names that say nothing.
const EMPTY_VERBS: [&str; 3] = ["get_", "do_", "process_"];

pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    let known: BTreeSet<&str> =
        RATCHET.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut breaches = Vec::new();
    let mut over = BTreeSet::new();
    for file in tree.rust() {
        breaches.extend(words(file));
        match syn::parse_file(&file.text) {
            Err(error) => breaches.push(Breach::new(&file.path, format!("not Rust: {error}"))),
            Ok(syntax) => {
                let mut visitor = Visitor { file, breaches: Vec::new(), over: BTreeSet::new() };
                visitor.visit_file(&syntax);
                breaches.append(&mut visitor.breaches);
                over.append(&mut visitor.over);
            }
        }
        if !file.is_test() && file.text.lines().count() > FILE_LINES_MAX {
            over.insert(file.path.clone());
        }
    }
    for place in over.iter().filter(|p| !known.contains(p.as_str())) {
        breaches.push(Breach::new(
            place,
            format!("over {FILE_LINES_MAX} lines a file or {FUNCTION_LINES_MAX} a function"),
        ));
    }
    for place in known.iter().filter(|p| !over.contains(**p)) {
        breaches.push(Breach::new(*place, "is within the limits now: take it off xtask/tidy.list"));
    }
    breaches
}

/// Words and marks that may stand nowhere, or in one place only.
fn words(file: &File) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if file.path.starts_with("xtask/src/tidy/") {
        return breaches;
    }
    let own_clock = file.path == "crates/datapath/src/clock.rs";
    let sys = file.path.starts_with("crates/datapath/src/sys");
    for (number, line) in file.text.lines().enumerate() {
        let place = format!("{}:{}", file.path, number + 1);
        let mut breach = |text: &str| breaches.push(Breach::new(place.clone(), text));
        let code = line.split("//").next().unwrap_or(line);
        if ["todo!(", "unimplemented!("].iter().any(|w| code.contains(w))
            || ["FIXME", "XXX", "TODO"].iter().any(|w| line.contains(w))
        {
            breach("finish it, or leave it out");
        }
        if !own_clock && (code.contains("Instant::now()") || code.contains("SystemTime::now()")) {
            breach("the time is read in crates/datapath/src/clock.rs only");
        }
        let says_unsafe =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
        if says_unsafe && !sys && !code.contains('"') {
            breach("`unsafe` belongs in crates/datapath/src/sys");
        }
        if code.contains("allow(") && code.contains("#[") && !code.contains("reason") {
            let rest: String = file.text.lines().skip(number).take(4).collect::<Vec<_>>().join(" ");
            if !rest.contains("reason") {
                breach("an allowed lint states its reason");
            }
        }
    }
    breaches
}

struct Visitor<'a> {
    file: &'a File,
    breaches: Vec<Breach>,
    over: BTreeSet<String>,
}

impl Visitor<'_> {
    fn name(&mut self, ident: &syn::Ident) {
        if self.file.is_test() {
            // The name of a test is a sentence.
            return;
        }
        let name = ident.to_string();
        let words = snake(&name);
        let own = |word: &str| {
            NETFILTER_WORDS.iter().any(|(w, place)| *w == word && self.file.path.starts_with(place))
        };
        let vague = |word: &str| VAGUE.contains(&word) && !own(word);
        if let Some(vague) = words.iter().find(|word| vague(word)) {
            self.breach(ident.span(), format!("`{name}`: `{vague}` names nothing in this house"));
        }
    }

    fn function(&mut self, ident: &syn::Ident, span: proc_macro2::Span) {
        self.name(ident);
        let name = ident.to_string();
        if let Some(verb) = EMPTY_VERBS.iter().find(|v| name.starts_with(**v)) {
            self.breach(ident.span(), format!("`{name}`: `{verb}` says nothing"));
        }
        let lines = span.end().line.saturating_sub(span.start().line) + 1;
        if lines > FUNCTION_LINES_MAX && !self.file.is_test() {
            self.over.insert(format!("{}::{name}", self.file.path));
        }
    }

    fn breach(&mut self, span: proc_macro2::Span, text: String) {
        let place = format!("{}:{}", self.file.path, span.start().line);
        self.breaches.push(Breach::new(place, text));
    }
}

fn is_test_module(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg")
            && matches!(&a.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_module(&item.attrs) {
            self.name(&item.ident);
            syn::visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.span());
        syn::visit::visit_item_fn(self, item);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.span());
        syn::visit::visit_impl_item_fn(self, item);
    }
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.name(&item.ident);
        syn::visit::visit_item_struct(self, item);
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.name(&item.ident);
        syn::visit::visit_item_enum(self, item);
    }
    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.name(&item.ident);
        syn::visit::visit_item_trait(self, item);
    }
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.tokens.to_string().split_whitespace().any(|t| t == "mod") {
            self.breach(item.span(), "a macro declares a module: rustfmt skips such files".into());
        }
    }
}

/// The words of a camel-case or snake-case name, in lower case.
fn snake(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_'
            && let Some(last) = words.last_mut()
        {
            last.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches_of(path: &str, text: &str) -> Vec<String> {
        let tree = Tree { files: vec![File { path: path.into(), text: text.into() }] };
        check(&tree).into_iter().filter(|b| b.place.starts_with(path)).map(|b| b.text).collect()
    }

    #[test]
    fn vague_names_are_found() {
        assert_eq!(breaches_of("a.rs", "struct SessionTable;").len(), 1);
        assert_eq!(breaches_of("a.rs", "struct ConnTable;").len(), 0);
        assert_eq!(breaches_of("a.rs", "fn get_it() {}").len(), 1);
    }

    #[test]
    fn unsafe_is_found_outside_of_sys() {
        assert_eq!(breaches_of("a.rs", "fn f() { unsafe { } }").len(), 1);
        assert_eq!(breaches_of("crates/datapath/src/sys/a.rs", "fn f() { unsafe { } }").len(), 0);
    }

    #[test]
    fn long_functions_are_found() {
        let body = "    let _ = 1;\n".repeat(FUNCTION_LINES_MAX);
        assert_eq!(breaches_of("a.rs", &format!("fn f() {{\n{body}}}\n")).len(), 1);
        let body = "    let _ = 1;\n".repeat(FUNCTION_LINES_MAX - 2);
        assert_eq!(breaches_of("a.rs", &format!("fn f() {{\n{body}}}\n")).len(), 0);
    }
}
