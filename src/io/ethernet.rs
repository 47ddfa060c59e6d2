//! Where on an Ethernet something goes.

use nix::libc;
use nix::sys::socket::{LinkAddr, SockaddrLike};

/// To everybody on it.
pub(crate) const EVERYBODY: [u8; 6] = [0xFF; 6];

/// The address `to` on the interface that the kernel numbers so, for what is of this Ethernet type.
///
/// # Panics
/// Never: it is an address of a link.
pub(crate) fn address(index: u32, kind: u16, to: [u8; 6]) -> LinkAddr {
    let [a, b, c, d, e, f] = to;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: kind.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, f, 0, 0],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    #[expect(unsafe_code, reason = "nix makes no address of a link from its parts")]
    // SAFETY: it is of the family and the length that are asked for, and is copied.
    let link = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    link.expect("it is of a link")
}
