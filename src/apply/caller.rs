//! Spotler, as an apply calls it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::field::FieldValue;
use crate::id::{ContactId, ParticipationId, TriggerCode};
use crate::spotler::{CallError, Client, StopAnswer, TriggerAnswer};

/// Says, right before the first byte of a call, whether it may still be sent.
pub type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// What an apply needs of Spotler. A [`Client`] calls the real one; a test may put another in its place.
pub trait Caller: Send + Sync {
    /// Sends one trigger, once.
    fn trigger<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        fields: &'a [FieldValue],
    ) -> BoxFuture<'a, Result<TriggerAnswer, CallError>>;

    /// Sends one stop, once: of one participation, or of all of the contact's behind the code.
    fn stop<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        participation: Option<&'a ParticipationId>,
    ) -> BoxFuture<'a, Result<StopAnswer, CallError>>;

    /// Makes new connections from now on: an answer that was not for its call may have left another one behind.
    fn forget_connections(&self);

    /// The same caller, which begins a call only while it may.
    fn only_while(&self, may_send: MaySend) -> Arc<dyn Caller>;
}

impl Caller for Client {
    fn trigger<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        fields: &'a [FieldValue],
    ) -> BoxFuture<'a, Result<TriggerAnswer, CallError>> {
        Box::pin(Client::trigger(self, code, contact, fields))
    }

    fn stop<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        participation: Option<&'a ParticipationId>,
    ) -> BoxFuture<'a, Result<StopAnswer, CallError>> {
        Box::pin(Client::stop(self, code, contact, participation))
    }

    fn forget_connections(&self) {
        Client::forget_connections(self);
    }

    fn only_while(&self, may_send: MaySend) -> Arc<dyn Caller> {
        Arc::new(Client::only_while(self, move || may_send()))
    }
}
