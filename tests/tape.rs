//! Bytes read from the front as numbers, until there are none left.

pub(crate) struct Tape<'a>(pub(crate) &'a [u8]);

impl Tape<'_> {
    pub(crate) fn octet(&mut self) -> Option<u8> {
        self.octets::<1>().map(|[octet]| octet)
    }
    /// High byte first, as it stands in a seed.
    pub(crate) fn number<const N: usize>(&mut self) -> Option<u64> {
        let octets = self.octets::<N>()?;
        Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }
    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }
}
