//! What a figure is: its name, its unit, and whether less is better.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A column of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// Its name in JSON.
    pub(crate) id: Cow<'static, str>,
    /// Its name for readers.
    pub(crate) title: Cow<'static, str>,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Nanoseconds,
    PerSecond,
    Bytes,
    Count,
    /// Of 1, shown in percent.
    Share,
    Ratio,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Less,
    More,
    /// Neither: the figure describes the run.
    Neither,
}

impl Figure {
    pub(crate) const fn new(
        id: &'static str,
        title: &'static str,
        unit: Unit,
        better: Better,
    ) -> Self {
        Self { id: Cow::Borrowed(id), title: Cow::Borrowed(title), unit, better }
    }

    /// A time of which less is better.
    pub(crate) const fn time(id: &'static str, title: &'static str) -> Self {
        Self::new(id, title, Unit::Nanoseconds, Better::Less)
    }

    /// A rate of which more is better.
    pub(crate) const fn rate(id: &'static str, title: &'static str) -> Self {
        Self::new(id, title, Unit::PerSecond, Better::More)
    }

    /// A number that describes the run.
    pub(crate) const fn count(id: &'static str, title: &'static str) -> Self {
        Self::new(id, title, Unit::Count, Better::Neither)
    }
}
