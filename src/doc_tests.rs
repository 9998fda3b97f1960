//! What README and the pages of docs/ show is compiled, and run, as tests of the documentation.

#[cfg(feature = "postgres")]
#[doc = include_str!("../README.md")]
struct Readme;
#[doc = include_str!("../docs/existing-client.md")]
struct ExistingClient;
#[doc = include_str!("../docs/background-service.md")]
struct BackgroundService;
#[doc = include_str!("../docs/command-line.md")]
struct CommandLine;
#[doc = include_str!("../docs/replicas.md")]
struct Replicas;
#[doc = include_str!("../docs/requests-oauthlib.md")]
struct FromRequestsOauthlib;
#[cfg(feature = "oauth2")]
#[doc = include_str!("../docs/from-oauth2.md")]
struct FromOauth2;
#[doc = include_str!("../docs/from-a-mutex.md")]
struct FromAMutex;
