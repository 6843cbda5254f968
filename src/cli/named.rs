//! What `resolve` and `inspect` share: images named on the command line, the registries of this machine, and how a
//! failed one is told.

use std::path::Path;

use jiff::Timestamp;
use plimsoll::judge;
use plimsoll::outcome::Exit;
use plimsoll::outline::OutlineError;
use plimsoll::report::visible_lines;

use super::args::{Asking, Machine, PolicyArgs};
use super::network::Network;
use super::{Failure, governing, network, print};

/// The registries as the machine's config says, and the config beside the policy.
pub(crate) fn network(machine: &Machine, asking: &Asking) -> Result<Network, Failure> {
    let none = PolicyArgs { policy: None, policy_from: None, now: None };
    let governing = governing::find(&none, Timestamp::now())?;
    let named = governing::config(machine.config.as_deref().map(Path::new), None)?;
    let beside = governing.as_ref().and_then(|governing| governing.config.as_ref());
    let judged = super::machine::judged(&[], governing.as_ref().map(|governing| governing.folder.as_path()));
    Ok(network::network(named.as_ref(), beside, &asking.reaching, &judged)?)
}

/// Says why an image has no answer, and what to do about it.
pub(crate) fn say(image: &str, error: &str, help: &str) {
    print::err(&format!("plimsoll: {}\n  help: {help}\n", visible_lines(&format!("{image}: {error}"))));
}

/// What to do about an error, and the exit code that it comes to.
pub(crate) fn weigh(error: &OutlineError) -> (&'static str, Exit) {
    let exit = if error.is_absence() { Exit::Denied } else { Exit::Undecided };
    let help = match error {
        OutlineError::NoPlatform { .. } => "name a platform that the image has",
        OutlineError::SeveralPlatforms { .. } => "name the variant too, such as linux/arm/v7",
        _ => match error.registry() {
            Some(error) => judge::absence(error).1,
            None => "do not run this image; its content is not sound",
        },
    };
    (help, exit)
}
