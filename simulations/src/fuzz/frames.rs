//! Frames of every kind.

use synod_common::update::UpdateHeader;
use synod_common::wire::{
    AdminAnswer, AdminRequest, Answer, Declined, Enrolled, Evaluated, FRAME_HEADER_BYTES, Finished, FrameHeader, Grant,
    Hello, Join, Kind, Message, Offer, Presence, Probe, Progress, Ready, Renew, Task, Welcome, decode, encode,
};

/// A frame: a header that is refused, or a body that is read; what was read is written and read again.
pub(super) fn frames(bytes: &[u8]) {
    let Some((header, body)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else { return };
    let Ok(FrameHeader { kind, .. }) = FrameHeader::parse(*header) else { return };
    match kind {
        Kind::Hello => there_and_back::<Hello>(body),
        Kind::Welcome => there_and_back::<Welcome>(body),
        Kind::Ready => there_and_back::<Ready>(body),
        Kind::Task => there_and_back::<Task>(body),
        Kind::Update => there_and_back::<UpdateHeader>(body),
        Kind::Answer => there_and_back::<Answer>(body),
        Kind::Offer => there_and_back::<Offer>(body),
        Kind::Grant => there_and_back::<Grant>(body),
        Kind::Progress => there_and_back::<Progress>(body),
        Kind::Evaluated => there_and_back::<Evaluated>(body),
        Kind::Declined => there_and_back::<Declined>(body),
        Kind::Finished => there_and_back::<Finished>(body),
        Kind::Probe => there_and_back::<Probe>(body),
        Kind::Presence => there_and_back::<Presence>(body),
        Kind::Join => there_and_back::<Join>(body),
        Kind::Renew => there_and_back::<Renew>(body),
        Kind::Enrolled => there_and_back::<Enrolled>(body),
        Kind::AdminRequest => there_and_back::<AdminRequest>(body),
        Kind::AdminAnswer => there_and_back::<AdminAnswer>(body),
    }
}

fn there_and_back<M: Message>(body: &[u8]) {
    let Ok(message) = decode::<M>(body) else { return };
    let once = encode(&message).expect("a message that keeps its rules can be written");
    let (header, body) = once.split_first_chunk::<FRAME_HEADER_BYTES>().expect("a frame has a header");
    let parsed = FrameHeader::parse(*header).expect("a written header can be read");
    assert_eq!((parsed.kind, parsed.body_bytes), (M::KIND, body.len()));
    let again = decode::<M>(body).expect("a written message can be read");
    assert_eq!(encode(&again).expect("as before"), once);
}
