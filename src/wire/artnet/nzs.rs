//! ArtNzs: DMX whose start code is not zero (rule A18), which is never levels.

use units::PortAddress;

use super::{ArtnetError, at, begin_versioned, dmx, op, pair, port_address};

/// The start code of RDM, which has packets of its own.
const RDM: u8 = 0xcc;

/// ArtNzs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nzs<'a> {
    /// 1 to 255 and over to 1; 0: the sender does not count.
    pub sequence: u8,
    /// Neither 0 (levels) nor 0xcc (RDM).
    pub start_code: u8,
    /// Which address.
    pub port_address: PortAddress,
    /// 1 to 512 octets.
    pub slots: &'a [u8],
}

impl Nzs<'_> {
    /// Writes it; none where the start code or the length may not be.
    pub fn emit(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; dmx::SLOTS.start];
        begin_versioned(&mut bytes, op::NZS);
        let [net, sub_uni] = self.port_address.raw().to_be_bytes();
        bytes[dmx::SEQUENCE] = self.sequence;
        bytes[START_CODE] = self.start_code;
        bytes[dmx::SUB_UNI] = sub_uni;
        bytes[dmx::NET] = net;
        let length = u16::try_from(self.slots.len()).ok()?;
        bytes[dmx::LENGTH].copy_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.slots);
        parse(&bytes).is_ok().then_some(bytes)
    }
}

/// Where an ArtDmx has its physical port.
const START_CODE: usize = dmx::PHYSICAL;

pub(super) fn parse(bytes: &[u8]) -> Result<Nzs<'_>, ArtnetError> {
    let length = u16::from_be_bytes(pair(bytes, dmx::LENGTH)?);
    let start_code = bytes[START_CODE];
    if matches!(start_code, 0 | RDM) {
        return Err(ArtnetError::StartCode(start_code));
    }
    if !(1..=512).contains(&length) {
        return Err(ArtnetError::Length(length));
    }
    let end = dmx::SLOTS.start + usize::from(length);
    let slots = at(bytes, dmx::SLOTS.start..end).map_err(|_| ArtnetError::Length(length))?;
    Ok(Nzs {
        sequence: bytes[dmx::SEQUENCE],
        start_code,
        port_address: port_address(bytes)?,
        slots,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;

    fn text() -> Nzs<'static> {
        let port_address = PortAddress::new(0x1234).expect("15 bits");
        Nzs { sequence: 7, start_code: 0x17, port_address, slots: &[1, 2, 3] }
    }

    #[test]
    fn a18_another_start_code_is_told_apart_from_levels() {
        let bytes = text().emit().expect("it may be");
        assert_eq!(bytes, *b"Art-Net\0\x00\x51\x00\x0e\x07\x17\x34\x12\x00\x03\x01\x02\x03");
        assert_eq!(parse(&bytes), Ok(Packet::Nzs(text())));
    }

    #[test]
    fn a18_levels_and_rdm_may_not_come_as_another_start_code() {
        for start_code in [0, RDM] {
            assert_eq!(Nzs { start_code, ..text() }.emit(), None);
            let mut bytes = text().emit().expect("it may be");
            bytes[START_CODE] = start_code;
            assert_eq!(parse(&bytes), Err(ArtnetError::StartCode(start_code)));
        }
        assert_eq!(Nzs { slots: &[], ..text() }.emit(), None);
        assert_eq!(Nzs { slots: &[0; 513], ..text() }.emit(), None);
        let cut_off = &text().emit().expect("it may be")[..20];
        assert_eq!(parse(cut_off), Err(ArtnetError::Length(3)));
    }
}
