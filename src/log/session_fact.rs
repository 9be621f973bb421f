//! The bytes of a session's fact: flags first, which say what is there, and then what is there.

use state_machine::event::{Event, LastError};
use state_machine::id::{
    AccountId, ErrorCode, EventId, InvalidIdentifier, ReportId, SessionId, UserTag, World,
};
use state_machine::time::Timestamp;

use super::binary::{Fields, put_text};
use super::codes;
use super::entry::SessionFact;
use super::leaf::LeafError;
use crate::stripe::decode::EventForm;

const LIVEMODE: u16 = 1;
const ACCOUNT: u16 = 1 << 1;
const THIN: u16 = 1 << 2;
const SESSION_CREATED: u16 = 1 << 3;
const STATUS: u16 = 1 << 4;
const LAST_ERROR: u16 = 1 << 5;
const ERROR_CODE: u16 = 1 << 6;
const REPORT: u16 = 1 << 7;
const REDACTION: u16 = 1 << 8;
const USER: u16 = 1 << 9;
const API_VERSION: u16 = 1 << 10;
const FLAGS_ALL: u16 = (1 << 11) - 1;

/// Appends the bytes of a fact.
pub(super) fn put_session_fact(bytes: &mut Vec<u8>, fact: &SessionFact) {
    let event = &fact.event;
    bytes.extend_from_slice(&flags(fact).to_le_bytes());
    bytes.push(codes::of_event_type(event.event_type));
    bytes.extend_from_slice(&event.created.0.to_le_bytes());
    put_text(bytes, event.id.as_str());
    put_text(bytes, fact.session.as_str());
    if let Some(account) = &fact.world.account {
        put_text(bytes, account.as_str());
    }
    if let Some(created) = event.session_created {
        bytes.extend_from_slice(&created.0.to_le_bytes());
    }
    if let Some(status) = &event.status {
        codes::put_open(bytes, codes::of_status(status));
    }
    if let Some(code) = event
        .last_error
        .as_ref()
        .and_then(|error| error.code.as_ref())
    {
        put_text(bytes, code.as_str());
    }
    if let Some(report) = &event.report {
        put_text(bytes, report.as_str());
    }
    if let Some(redaction) = &event.redaction {
        codes::put_open(bytes, codes::of_redaction(redaction));
    }
    if let Some(user) = event.user {
        bytes.extend_from_slice(&user.0);
    }
    if let Some(version) = &fact.api_version {
        put_text(bytes, version);
    }
}

fn flags(fact: &SessionFact) -> u16 {
    let event = &fact.event;
    let has_code = event
        .last_error
        .as_ref()
        .is_some_and(|error| error.code.is_some());
    let flags = [
        (LIVEMODE, fact.world.livemode),
        (ACCOUNT, fact.world.account.is_some()),
        (THIN, fact.form == EventForm::Thin),
        (SESSION_CREATED, event.session_created.is_some()),
        (STATUS, event.status.is_some()),
        (LAST_ERROR, event.last_error.is_some()),
        (ERROR_CODE, has_code),
        (REPORT, event.report.is_some()),
        (REDACTION, event.redaction.is_some()),
        (USER, event.user.is_some()),
        (API_VERSION, fact.api_version.is_some()),
    ];
    flags.into_iter().fold(
        0,
        |all, (flag, is_set)| if is_set { all | flag } else { all },
    )
}

/// Reads a fact.
pub(super) fn session_fact(fields: &mut Fields<'_>) -> Result<SessionFact, LeafError> {
    let flags = required(fields.u16().filter(|flags| are_valid(*flags)), "flags")?;
    let has = |flag: u16| flags & flag != 0;
    let event_type = required(fields.u8().and_then(codes::event_type), "event type")?;
    let created = Timestamp(required(fields.i64(), "created")?);
    let id = identifier(fields, EventId::parse, "event id")?;
    let session = identifier(fields, SessionId::parse, "session id")?;
    let account = if_set(has(ACCOUNT), || {
        identifier(fields, AccountId::parse, "account")
    })?;
    let session_created = if_set(has(SESSION_CREATED), || {
        required(fields.i64(), "session's created")
    })?;
    let status = if_set(has(STATUS), || {
        required(codes::open(fields, codes::status), "status")
    })?;
    let code = if_set(has(ERROR_CODE), || {
        identifier(fields, ErrorCode::parse, "error code")
    })?;
    let report = if_set(has(REPORT), || {
        identifier(fields, ReportId::parse, "report id")
    })?;
    let redaction = if_set(has(REDACTION), || {
        required(codes::open(fields, codes::redaction), "redaction")
    })?;
    let user = if_set(has(USER), || required(fields.array(), "user tag"))?;
    let version = if_set(has(API_VERSION), || required(fields.text(), "API version"))?;
    Ok(SessionFact {
        world: World {
            livemode: has(LIVEMODE),
            account,
        },
        session,
        form: if has(THIN) {
            EventForm::Thin
        } else {
            EventForm::Snapshot
        },
        event: Event {
            id,
            event_type,
            created,
            session_created: session_created.map(Timestamp),
            status,
            last_error: has(LAST_ERROR).then_some(LastError { code }),
            report,
            redaction,
            user: user.map(UserTag),
        },
        api_version: version.map(str::to_owned),
    })
}

/// Which session a fact belongs to.
pub(super) struct SessionName<'fact> {
    pub(super) livemode: bool,
    pub(super) account: Option<&'fact str>,
    pub(super) session: &'fact str,
}

/// Reads which session a fact belongs to, and nothing else of it.
pub(super) fn session_name(fact: &[u8]) -> Option<SessionName<'_>> {
    let mut fields = Fields::of(fact);
    let flags = fields.u16()?;
    let (_event_type, _created, _id) = (fields.u8()?, fields.i64()?, fields.text()?);
    let session = fields.text()?;
    let account = if flags & ACCOUNT == 0 {
        None
    } else {
        Some(fields.text()?)
    };
    Some(SessionName {
        livemode: flags & LIVEMODE != 0,
        account,
        session,
    })
}

/// An error code belongs to an error, and nothing but known flags may be set.
fn are_valid(flags: u16) -> bool {
    flags & !FLAGS_ALL == 0 && (flags & ERROR_CODE == 0 || flags & LAST_ERROR != 0)
}

fn required<T>(value: Option<T>, name: &'static str) -> Result<T, LeafError> {
    value.ok_or(LeafError::Field(name))
}

fn if_set<T>(
    is_set: bool,
    read: impl FnOnce() -> Result<T, LeafError>,
) -> Result<Option<T>, LeafError> {
    is_set.then(read).transpose()
}

fn identifier<T>(
    fields: &mut Fields<'_>,
    parse: fn(&str) -> Result<T, InvalidIdentifier>,
    name: &'static str,
) -> Result<T, LeafError> {
    required(fields.text().and_then(|text| parse(text).ok()), name)
}
