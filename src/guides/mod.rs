//! What you want to do, step by step. These are the pages of `docs/` in the repository.
//!
//! | I want to | read |
//! |---|---|
//! | understand the words | [`glossary`] |
//! | add tokens to an existing `reqwest` client | [`existing_client`] |
//! | run a background service | [`background_service`] |
//! | call an API that names its authorization server | [`resource`] |
//! | write a command-line tool | [`command_line`] |
//! | use it from code that is not async | [`blocking`] |
//! | serve many users | [`web_application`] |
//! | run several replicas | [`replicas`], [`sharing`] |
//! | write my own store | [`own_store`] |
//! | write a client of the Model Context Protocol | [`mcp`] |
//! | replace what a project does by hand | [`adopting`] |
//! | migrate from requests-oauthlib, `oauth2`, or my own mutex | [`from_requests_oauthlib`], [`from_oauth2`], [`from_a_mutex`] |
//! | use keys: signed client authentication, tokens that are bound to a key | [`keys`] |
//! | handle errors | [`errors`] |
//! | set up alerts | [`observability`] |
//! | review the security | [`threat_model`] |
//! | know how it works | [`architecture`] |
//! | see a day in which everything fails now and then | [`load`] |

// Pages name each other by references, such as `[replicas]`, which lead to files at their end and to
// modules in links.md: of two definitions the first one counts. The code of a page is a test here if the
// library is all that it needs. tests/published runs the code of every page.

#[cfg(not(doctest))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/adopting.md")]
pub mod adopting {}
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/architecture.md")]
pub mod architecture {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/background-service.md")]
pub mod background_service {}
#[cfg(any(not(doctest), all(feature = "blocking", feature = "testing")))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/blocking.md")]
pub mod blocking {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/command-line.md")]
pub mod command_line {}
#[cfg(any(not(doctest), feature = "middleware"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/errors.md")]
pub mod errors {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/existing-client.md")]
pub mod existing_client {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/from-a-mutex.md")]
#[doc = "\n<div id=\"latency\" style=\"overflow-x: auto\">\n"]
#[doc = include_str!("../../docs/latency.svg")]
#[doc = "</div>"]
pub mod from_a_mutex {}
#[cfg(any(not(doctest), feature = "oauth2"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/from-oauth2.md")]
pub mod from_oauth2 {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/requests-oauthlib.md")]
pub mod from_requests_oauthlib {}
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/glossary.md")]
pub mod glossary {}
#[cfg(any(not(doctest), all(feature = "keys", feature = "testing")))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/keys.md")]
pub mod keys {}
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/load.md")]
pub mod load {}
#[cfg(any(not(doctest), feature = "keys"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/mcp.md")]
pub mod mcp {}
#[cfg(not(doctest))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/observability.md")]
pub mod observability {}
#[cfg(not(doctest))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/own-store.md")]
pub mod own_store {}
#[cfg(any(not(doctest), feature = "testing"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/replicas.md")]
#[doc = "\n<div id=\"spread\" style=\"overflow-x: auto\">\n"]
#[doc = include_str!("../../docs/spread.svg")]
#[doc = "</div>"]
pub mod replicas {}
#[cfg(any(not(doctest), feature = "file-store"))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/resource.md")]
pub mod resource {}
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/sharing.md")]
pub mod sharing {}
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/threat-model.md")]
pub mod threat_model {}
#[cfg(not(doctest))]
#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/web-application.md")]
pub mod web_application {}
