// calloop: no scopes.
// error: unused `soloop::Scope` that must be used

#![deny(unused_must_use)]

use soloop::Scope;

fn main() {
    Scope::new();
}
