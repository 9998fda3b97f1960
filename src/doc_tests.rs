//! What README and the pages of docs/ show is compiled, and run, as tests of the documentation.

#[doc = include_str!("../README.md")]
struct Readme;
#[doc = include_str!("../docs/existing-client.md")]
struct ExistingClient;
#[doc = include_str!("../docs/background-service.md")]
struct BackgroundService;
#[doc = include_str!("../docs/command-line.md")]
struct CommandLine;
#[doc = include_str!("../docs/web-application.md")]
struct WebApplication;
#[doc = include_str!("../docs/replicas.md")]
struct Replicas;
#[doc = include_str!("../docs/own-store.md")]
struct OwnStore;
#[doc = include_str!("../docs/requests-oauthlib.md")]
struct FromRequestsOauthlib;
#[doc = include_str!("../docs/from-oauth2.md")]
struct FromOauth2;
#[doc = include_str!("../docs/from-a-mutex.md")]
struct FromAMutex;
#[cfg(feature = "metrics")]
#[doc = include_str!("../docs/observability.md")]
struct Observability;
