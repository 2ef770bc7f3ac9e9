//! The examples that `init --example` writes. They are part of the program, so that they can be had without its source; a test
//! holds the list against the folder.

/// An example.
pub struct Example {
    /// Its name.
    pub name: &'static str,
    /// Its files, by their paths; the configuration first.
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! examples {
    ($($name:literal: $($file:literal),+;)+) => {
        /// All that can be written.
        pub const EXAMPLES: &[Example] = &[$(Example {
            name: $name,
            files: &[$((
                $file,
                include_bytes!(concat!("../../../examples/", $name, "/", $file)),
            )),+],
        }),+];

        /// Their names.
        pub const EXAMPLE_NAMES: &[&str] = &[$($name),+];
    };
}

examples! {
    "abandoned-cart": "rollcall.toml", "README.md", "exports/carts.csv", "exports/next-day.csv";
    "dormant": "rollcall.toml", "README.md", "exports/crm.csv", "exports/next-day.csv", "exports/orders.csv";
    "from-database": "rollcall.toml", "README.md", "rules.toml", "server.toml", "shop.db", "shop.sql";
    "lifecycle": "rollcall.toml", "README.md", "exports/crm.csv", "lifecycle/customers.toml",
        "lifecycle/ex-customers.toml", "lifecycle/prospects.toml";
    "newsletter-welcome": "rollcall.toml", "README.md", "exports/next-day.csv", "exports/subscribers.csv";
    "product-review": "rollcall.toml", "README.md", "exports/next-day.csv", "exports/orders.csv";
}

impl Example {
    /// The example of this name.
    pub fn named(name: &str) -> Option<&'static Example> {
        EXAMPLES.iter().find(|example| example.name == name)
    }

    /// Its files as they are in a folder of their own: what its page types, it types there.
    pub fn written(&self) -> Vec<(String, Vec<u8>)> {
        let folder = format!("examples/{}", self.name);
        let files = self.files.iter().map(|(path, content)| {
            let content = match (path.ends_with(".md"), std::str::from_utf8(content)) {
                (true, Ok(page)) => {
                    let page = page
                        .replace(&format!("--config {folder} "), "")
                        .replace(&format!("{folder}/"), "")
                        .replace(&folder, ".");
                    page.into_bytes()
                }
                _ => content.to_vec(),
            };
            ((*path).to_owned(), content)
        });
        files.collect()
    }

    /// What keeps its record and later exports out of Git. Its own exports are invented, and stay.
    pub fn kept_out(&self, always: &str) -> String {
        let own = self
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("exports/"));
        let own: Vec<String> = own.map(|(path, _)| format!("!/{path}\n")).collect();
        match own.is_empty() {
            true => always.to_owned(),
            false => format!(
                "{}\n# Invented contacts. Remove these lines before your own exports take their place.\n{}",
                always.replace("/exports/", "/exports/*").trim_end(),
                own.concat()
            ),
        }
    }
}
