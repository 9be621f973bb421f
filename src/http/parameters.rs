//! Query parameters: each is taken by name and checked; what nobody took is refused.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;
use state_machine::horizon::Horizon;
use state_machine::id::{AccountId, World};
use state_machine::retry::Outcome;
use state_machine::transition::StateName;

use super::Options;
use super::error::Error;
use crate::projections::view::Position;
use crate::service::moment::{self, AS_OF_FORM, VALID_AT_FORM};

/// The parameters of one request.
pub(super) struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads the query of a request.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Error> {
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Error::invalid("query_invalid", "the query string does not parse"))?;
        let mut values = BTreeMap::new();
        for (name, value) in pairs.into_inner() {
            if values.insert(name, value).is_some() {
                return Err(Error::invalid(
                    "parameter_repeated",
                    "a parameter is given twice",
                ));
            }
        }
        Ok(Self { values })
    }

    /// Refuses what nobody took, so that a misspelt filter never looks like an empty answer.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(_) => Err(Error::invalid(
                "parameter_unknown",
                "the query holds a parameter that this path does not know",
            )),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.values.remove(name)
    }

    /// Takes `livemode` and `account`; what is not given is as configured, and an empty account is the platform's own.
    pub(super) fn world(&mut self, default: &World) -> Result<World, Error> {
        let livemode = match self.text("livemode").as_deref() {
            None => default.livemode,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                return Err(Error::parameter(
                    "livemode",
                    "`livemode` is `true` or `false`",
                ));
            }
        };
        let account = match self.text("account").as_deref() {
            None => default.account.clone(),
            Some("") => None,
            Some(text) => Some(AccountId::parse(text).map_err(|error| {
                Error::parameter("account", format!("`account` is no id: {error}"))
            })?),
        };
        Ok(World { livemode, account })
    }

    /// Takes `as_of` and `valid_at`.
    pub(super) fn horizon(&mut self) -> Result<Horizon, Error> {
        let (known, valid) = (self.text("as_of"), self.text("valid_at"));
        let no_as_of = || Error::parameter("as_of", format!("`as_of` is {AS_OF_FORM}"));
        let no_valid_at = || Error::parameter("valid_at", format!("`valid_at` is {VALID_AT_FORM}"));
        let as_of = known.map(|text| moment::as_of(&text).ok_or_else(no_as_of));
        let valid_at = valid.map(|text| moment::valid_at(&text).ok_or_else(no_valid_at));
        Ok(Horizon {
            as_of: as_of.transpose()?,
            valid_at: valid_at.transpose()?,
        })
    }

    /// Takes a whole number.
    pub(super) fn number<N: FromStr>(&mut self, name: &'static str) -> Result<Option<N>, Error> {
        let not_a_number = |_| Error::parameter(name, format!("`{name}` is a whole number"));
        self.text(name)
            .map(|text| text.parse().map_err(not_a_number))
            .transpose()
    }

    /// Takes `limit`.
    pub(super) fn limit(&mut self, options: &Options) -> Result<usize, Error> {
        let limit = self.number("limit")?.unwrap_or(options.list_limit_default);
        let max = options.list_limit_max;
        if (1..=max).contains(&limit) {
            Ok(limit)
        } else {
            Err(Error::parameter(
                "limit",
                format!("`limit` is from 1 to {max}"),
            ))
        }
    }

    /// Takes `starting_after` or `ending_before`.
    pub(super) fn position<T>(
        &mut self,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Position<T>>, Error> {
        let mut take = |name| {
            let invalid = || Error::parameter(name, format!("`{name}` is no id of this list"));
            self.text(name)
                .map(|text| parse(&text).ok_or_else(invalid))
                .transpose()
        };
        match (take("starting_after")?, take("ending_before")?) {
            (None, None) => Ok(None),
            (Some(item), None) => Ok(Some(Position::After(item))),
            (None, Some(item)) => Ok(Some(Position::Before(item))),
            (Some(_), Some(_)) => Err(Error::parameter(
                "ending_before",
                "`starting_after` and `ending_before` exclude each other",
            )),
        }
    }

    /// Takes `status`.
    pub(super) fn status(&mut self) -> Result<Option<StateName>, Error> {
        let Some(text) = self.text("status") else {
            return Ok(None);
        };
        let mut states = StateName::ALL
            .into_iter()
            .filter(|state| *state != StateName::Unseen);
        states
            .find(|state| state.as_str() == text)
            .map(Some)
            .ok_or_else(|| {
                Error::parameter(
                    "status",
                    "`status` is requires_input, processing, verified, canceled or redacted",
                )
            })
    }

    /// Takes `decision`: the name of an outcome.
    pub(super) fn outcome(&mut self) -> Result<Option<String>, Error> {
        let Some(text) = self.text("decision") else {
            return Ok(None);
        };
        if Outcome::NAMES.contains(&text.as_str()) {
            Ok(Some(text))
        } else {
            let names = Outcome::NAMES.join(", ");
            Err(Error::parameter(
                "decision",
                format!("`decision` is one of {names}"),
            ))
        }
    }
}
