//! A world on a desk, seeded, in virtual time: cards, lighting nodes, phones. Never here: real time.

pub mod card;
pub mod wav;
