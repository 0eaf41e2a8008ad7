//! Ethernet frames, VLAN tags, PPPoE and MPLS under them.
