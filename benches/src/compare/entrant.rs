//! The entrants of a comparison: contestants of this program, and other running servers.

use std::str::FromStr;

use eventwire::EventLoop;

use crate::contestants::Contestant;
use crate::idle::IdleMode;
use crate::load::{Target, Wire};
use crate::service::Service;

/// One entrant of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entrant {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) place: Place,
}

/// An entrant's role in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The engine, with which all others are compared.
    Engine,
    /// The engine once more: how far it differs from itself is the noise.
    Again,
    /// The engine in another idle mode, in some scenarios only.
    Mode(IdleMode),
    /// Raw TCP, or for events the standard library's channel.
    Floor,
    /// WebSocket without an engine.
    WsFloor,
    Peer,
}

/// Where an entrant's server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a process that is started for each round.
    Child { contestant: Contestant, idle: IdleMode },
    /// It is already running, with one server for each of its services.
    Elsewhere { echo: Option<Target>, broadcast: Option<Target> },
}

/// The names of the engine and of the floors, in reports and on the command line.
pub(crate) const ENGINE: &str = "eventwire";
pub(crate) const AGAIN: &str = "eventwire (again)";
pub(crate) const ADAPTIVE: &str = "eventwire (adaptive)";
pub(crate) const BUSY: &str = "eventwire (busy)";
pub(crate) const FLOOR: &str = "floor";
pub(crate) const WS_FLOOR: &str = "ws-floor";

impl Entrant {
    /// The chosen contestants of this program, the engine first, and the other servers. All of them
    /// block while nothing is ready, except for the engine's other modes.
    pub(crate) fn all(chosen: &[Contestant], against: &[Against]) -> Vec<Self> {
        let mut entrants: Vec<Self> = chosen.iter().copied().map(Self::of).collect();
        entrants.extend(Self::elsewhere(against));
        if chosen.contains(&Contestant::Eventwire) {
            // In the middle, so that it is not always next to the engine.
            let middle = entrants.len().div_ceil(2);
            let again = Self::engine(AGAIN, Role::Again, IdleMode::Block);
            entrants.insert(middle, again);
            for (name, idle) in [(ADAPTIVE, IdleMode::Adaptive), (BUSY, IdleMode::Busy)] {
                entrants.push(Self::engine(name, Role::Mode(idle), idle));
            }
        }
        entrants
    }

    fn engine(name: &str, role: Role, idle: IdleMode) -> Self {
        let place = Place::Child { contestant: Contestant::Eventwire, idle };
        Self { name: name.to_owned(), role, place }
    }

    fn of(contestant: Contestant) -> Self {
        let roles = [
            (Contestant::Eventwire, Role::Engine),
            (Contestant::Floor, Role::Floor),
            (Contestant::WsFloor, Role::WsFloor),
        ];
        let known = roles.into_iter().find(|(own, _)| *own == contestant);
        let role = known.map_or(Role::Peer, |(_, role)| role);
        let place = Place::Child { contestant, idle: IdleMode::Block };
        Self { name: contestant.name().to_owned(), role, place }
    }

    /// Bytes of its own tables for each connection, if known.
    pub(crate) fn table_bytes(&self) -> Option<usize> {
        let is_engine =
            matches!(self.place, Place::Child { contestant: Contestant::Eventwire, .. });
        is_engine.then(EventLoop::<()>::connection_size)
    }

    /// One entrant for each name.
    fn elsewhere(against: &[Against]) -> Vec<Self> {
        let mut entrants: Vec<Self> = Vec::new();
        for one in against {
            let url = Some(one.url.clone());
            let (echo, broadcast) = match one.service {
                Service::Echo => (url, None),
                Service::Broadcast => (None, url),
            };
            let known = entrants.iter_mut().find(|entrant| entrant.name == one.name);
            match known.map(|entrant| &mut entrant.place) {
                Some(Place::Elsewhere { echo: first, broadcast: second }) => {
                    *first = echo.or(first.take());
                    *second = broadcast.or(second.take());
                }
                _ => entrants.push(Self {
                    name: one.name.clone(),
                    role: Role::Peer,
                    place: Place::Elsewhere { echo, broadcast },
                }),
            }
        }
        entrants
    }

    /// Whether it is the engine, in any mode.
    pub(crate) fn is_engine(&self) -> bool {
        matches!(self.role, Role::Engine | Role::Again | Role::Mode(_))
    }

    /// Whether it has a server for this service.
    pub(crate) fn serves(&self, service: Service) -> bool {
        match &self.place {
            Place::Child { contestant, .. } => contestant.services().contains(&service),
            Place::Elsewhere { echo, broadcast } => match service {
                Service::Echo => echo.is_some(),
                Service::Broadcast => broadcast.is_some(),
            },
        }
    }

    /// Its wire format.
    pub(crate) fn wire(&self) -> Wire {
        match &self.place {
            Place::Child { contestant, .. } => contestant.wire(),
            Place::Elsewhere { echo, broadcast } => {
                echo.as_ref().or(broadcast.as_ref()).map_or(Wire::WebSocket, |url| url.wire)
            }
        }
    }
}

/// A running server, as `NAME=URL`. `NAME:broadcast=URL` serves broadcasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Against {
    name: String,
    service: Service,
    url: Target,
}

impl FromStr for Against {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NAME_MAX: usize = 32;
        let (name, url) = text.split_once('=').ok_or("must be NAME=ws://HOST:PORT")?;
        let (name, service) = match name.strip_suffix(":broadcast") {
            Some(name) => (name, Service::Broadcast),
            None => (name, Service::Echo),
        };
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control)
        {
            return Err(format!("a name has 1 to {NAME_MAX} characters"));
        }
        if [FLOOR, WS_FLOOR].contains(&name) || name.starts_with(ENGINE) {
            return Err(format!("{name} is the name of a contestant"));
        }
        Ok(Self { name: name.to_owned(), service, url: url.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn against(text: &str) -> Against {
        text.parse().unwrap()
    }

    #[test]
    fn servers_elsewhere_have_a_name_and_a_url() {
        let one = against("uws=ws://127.0.0.1:9001/?a=b");
        assert_eq!((one.name.as_str(), one.service), ("uws", Service::Echo));
        assert_eq!(one.url.to_string(), "ws://127.0.0.1:9001/?a=b");
        let one = against("bun 1.3:broadcast=ws://localhost:9002");
        assert_eq!((one.name.as_str(), one.service), ("bun 1.3", Service::Broadcast));
        for wrong in [
            "",
            "uws",
            "ws://127.0.0.1:9001",
            "=ws://h",
            "uws=http://h",
            "uws=",
            "floor=ws://h",
            "eventwire (again)=ws://h",
            "a\nb=ws://h",
            ":broadcast=ws://h",
        ] {
            assert!(wrong.parse::<Against>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_services_of_one_name_are_one_entrant() {
        let urls = ["a=ws://h:1", "b:broadcast=ws://h:2", "a:broadcast=ws://h:3"].map(against);
        let entrants = Entrant::elsewhere(&urls);
        let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(entrants[0].serves(Service::Echo) && entrants[0].serves(Service::Broadcast));
        assert!(!entrants[1].serves(Service::Echo) && entrants[1].serves(Service::Broadcast));
    }

    #[test]
    fn the_engine_takes_part_twice_and_in_its_other_modes() {
        let chosen = [Contestant::Eventwire, Contestant::Floor, Contestant::WsFloor];
        let entrants = Entrant::all(&chosen, &[against("a=ws://h:1")]);
        let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name.as_str()).collect();
        assert_eq!(names, [ENGINE, FLOOR, AGAIN, WS_FLOOR, "a", ADAPTIVE, BUSY]);
        let blocking = |entrant: &&Entrant| {
            matches!(entrant.place, Place::Child { idle: IdleMode::Block, .. })
        };
        assert_eq!(entrants.iter().filter(blocking).count(), 4);
        assert!(Entrant::all(&[], &[]).is_empty());
    }
}
