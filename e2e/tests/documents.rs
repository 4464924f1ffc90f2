//! What the documents show is what is there: programs are the files that the stories run, links lead somewhere.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.is_file());
        files.sort();
        files
    }

    /// The fenced blocks of a document: the language, and the text with its last newline.
    fn fenced(document: &str) -> Vec<(&str, &str)> {
        let mut blocks = Vec::new();
        let mut rest = document;
        while let Some((_, block)) = rest.split_once("\n```") {
            let (language, block) = block.split_once('\n').expect("a fence ends its line");
            let (text, after) =
                block.split_once("\n```").expect("a fence that was opened is closed");
            blocks.push((language, &block[..=text.len()]));
            rest = after;
        }
        blocks
    }

    #[test]
    fn every_recipe_is_shown_as_it_is_and_every_program_shown_is_a_recipe() {
        let docs = root().join("docs");
        let document = read(&docs.join("verify-the-token.md"));
        let mut programs = fenced(&document);
        programs.retain(|(language, _)| !["sh", "toml"].contains(language));
        let mut shown: BTreeMap<&str, &str> = programs.iter().copied().collect();
        assert_eq!(shown.len(), programs.len(), "two programs in one language");
        let recipes = files_in(&docs.join("recipes"));
        for path in &recipes {
            let language = match path.file_name().and_then(|name| name.to_str()) {
                Some("verify.rs") => "rust",
                Some("verify.mjs") => "js",
                Some("verify.py") => "python",
                Some("verify.go") => "go",
                Some("nginx.conf") => "nginx",
                other => panic!("which language is {other:?}?"),
            };
            let text = shown.remove(language).unwrap_or_default();
            assert_eq!(
                text,
                read(path),
                "docs/verify-the-token.md differs from {}",
                path.display()
            );
        }
        assert_eq!(recipes.len(), 5);
        assert_eq!(shown, BTreeMap::new(), "programs that nobody runs");
    }

    /// The anchor that a heading gets: lower case, hyphens for spaces, without punctuation.
    fn anchor(heading: &str) -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    }

    #[test]
    fn links_lead_somewhere() {
        let mut found = 0;
        for folder in [root(), root().join("docs")] {
            for path in files_in(&folder) {
                if path.extension().is_none_or(|extension| extension != "md") {
                    continue;
                }
                let document = read(&path);
                for target in document.split("](").skip(1).filter_map(|rest| rest.split(')').next())
                {
                    if target.contains("://") || target.starts_with("mailto:") {
                        continue;
                    }
                    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                    let file = if file.is_empty() { path.clone() } else { folder.join(file) };
                    let from = path.display();
                    assert!(file.exists(), "{from} links to {target}, which is not there");
                    if !heading.is_empty() {
                        let text = read(&file);
                        let mut headings = text.lines().filter(|line| line.starts_with('#'));
                        let there =
                            headings.any(|h| anchor(h.trim_start_matches('#').trim()) == heading);
                        assert!(there, "{from} links to {target}, and there is no such heading");
                    }
                    found += 1;
                }
            }
        }
        assert!(found > 10, "{found} links");
    }
}
