//! `redirect_policy`: for the client below the layer.

use reqwest::redirect::{Action, Attempt, Policy};
use url::Url;

use crate::origin::Origins;

/// A redirect policy for the reqwest client below the layer: at most ten redirects, as by default, and no
/// token for an origin that is not listed.
///
/// reqwest takes the `Authorization` header off the first request to another origin, but as of 0.13.5 it
/// sends it again if that origin redirects once more, to itself. So a server that an API redirects to can
/// get the token. This policy stops there and returns that second redirect as the response.
///
/// ```
/// # fn main() -> reqwest::Result<()> {
/// let http = reqwest::Client::builder().redirect(reqwest_oauth2::redirect_policy()).build()?;
/// # Ok(())
/// # }
/// ```
pub fn redirect_policy() -> Policy {
    Policy::custom(follow)
}

fn follow(attempt: Attempt<'_>) -> Action {
    let (first, last) = (attempt.previous().first(), attempt.previous().last());
    let has_left = first.map(Url::origin) != last.map(Url::origin);
    let stays = last.map(Url::origin) == Some(attempt.url().origin());
    if has_left && stays { attempt.stop() } else { Policy::default().redirect(attempt) }
}

/// As [`redirect_policy`], for origins with a path. Within an origin reqwest sends the token along, so this
/// policy also stops at a redirect that stays on an origin that the request has been to, but leads to a URL
/// that is not listed. It returns that redirect as the response.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_oauth2::{Origins, redirect_policy_within};
///
/// let tenant = Origins::new(["https://api.example/tenant-a"])?;
/// let http = reqwest::Client::builder().redirect(redirect_policy_within(tenant)).build()?;
/// # Ok(())
/// # }
/// ```
pub fn redirect_policy_within(origins: Origins) -> Policy {
    Policy::custom(move |attempt: Attempt<'_>| {
        let to = attempt.url();
        let was_there = attempt.previous().iter().any(|url| url.origin() == to.origin());
        if was_there && !origins.allow(to) {
            return attempt.stop();
        }
        follow(attempt)
    })
}

/// A redirect policy for the reqwest client below the layer that follows redirects within an origin only, at
/// most ten: for APIs that take the token in another place than `Authorization`
/// ([`Api::header`](crate::Api::header), [`Api::query_parameter`](crate::Api::query_parameter)), which
/// reqwest would send to another origin too. It returns other redirects as the response.
pub fn redirect_policy_within_origin() -> Policy {
    Policy::custom(|attempt: Attempt<'_>| {
        let last = attempt.previous().last().map(Url::origin);
        let stays = last == Some(attempt.url().origin());
        if stays { Policy::default().redirect(attempt) } else { attempt.stop() }
    })
}
