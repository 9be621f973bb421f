//! Stripe's objects, as far as they are read. What is not listed here (`client_secret`, `url`,
//! `provided_details`, `last_error.reason`, `verified_outputs`) is skipped and never held.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::json::{Members, Value, skip};

/// Declares an object by the members that are read: `field: "its key"`, and the object that may stand there.
macro_rules! wire_object {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $key:literal $(as $object:ident)?,)+ }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name<'body> {
            $(pub(super) $field: Value<'body $(, $object<'body>)?>,)+
        }

        impl<'body> Members<'body> for $name<'body> {
            fn read<A: MapAccess<'body>>(&mut self, key: Cow<'body, str>, map: &mut A) -> Result<(), A::Error> {
                match &*key {
                    $($key => self.$field = map.next_value()?,)+
                    _ => skip(map)?,
                }
                Ok(())
            }
        }
    };
}

wire_object! {
    /// An event, of either form: `object: event` has `data`, `object: v2.core.event` has `related_object`.
    Envelope {
        id: "id",
        object: "object",
        event_type: "type",
        created: "created",
        livemode: "livemode",
        api_version: "api_version",
        account: "account" as Identified,
        context: "context" as Identified,
        data: "data" as Data,
        related_object: "related_object" as Identified,
    }
}

wire_object! {
    /// What a snapshot event says its object was.
    Data {
        object: "object" as Session,
    }
}

wire_object! {
    /// An `identity.verification_session`.
    Session {
        id: "id",
        created: "created",
        livemode: "livemode",
        status: "status",
        last_error: "last_error" as LastError,
        last_verification_report: "last_verification_report" as Identified,
        redaction: "redaction" as Redaction,
        metadata: "metadata" as Metadata,
        client_reference_id: "client_reference_id",
        related_customer: "related_customer" as Identified,
    }
}

wire_object! {
    /// A `last_error`.
    LastError {
        code: "code",
    }
}

wire_object! {
    /// A `redaction`.
    Redaction {
        status: "status",
    }
}

wire_object! {
    /// An object that stands in full where an endpoint expands what is otherwise its id.
    Identified {
        id: "id",
    }
}

impl Value<'_, Identified<'_>> {
    /// Returns the id of what stands here, in full or by its id alone.
    pub(super) fn id(&self) -> Option<&str> {
        self.text().or_else(|| self.object()?.id.text())
    }
}

/// The metadata of a session: personal data, borrowed from the body and gone with it.
#[derive(Default)]
pub(super) struct Metadata<'body>(Vec<(Cow<'body, str>, Value<'body>)>);

impl Metadata<'_> {
    /// Returns the text under `key`.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().rfind(|(name, _)| name == key)?.1.text()
    }

    /// Returns every text.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, value)| value.text())
    }
}

impl<'body> Members<'body> for Metadata<'body> {
    fn read<A: MapAccess<'body>>(
        &mut self,
        key: Cow<'body, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.0.push((key, map.next_value()?));
        Ok(())
    }
}
