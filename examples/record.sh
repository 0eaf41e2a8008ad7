#!/usr/bin/env bash
# Records the captures beside this file: real programs in network namespaces, seen from the inside
# interface of a gateway.
#
#   client 192.0.2.10 -- gateway -- server 198.51.100.20
#          2001:db8:1::10                  2001:db8:2::20
#
# Needs root, iproute2, util-linux, ethtool, tcpdump, vsftpd, curl, ping, python3. Nothing is left
# behind: the namespaces have no names and go with their processes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

namespace() { unshare -n sleep 120 >/dev/null 2>&1 & pids+=($!); }
namespace; client=$!
namespace; gateway=$!
namespace; server=$!
sleep 0.3
in_client() { nsenter -t "$client" -n "$@"; }
in_gateway() { nsenter -t "$gateway" -n "$@"; }
in_server() { nsenter -t "$server" -n "$@"; }

# Segments as they are on a wire: no device finishes checksums or cuts segments later.
plain() { nsenter -t "$1" -n ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null; }

ip link add eth0 netns "$client" type veth peer name eth0 netns "$gateway"
ip link add eth0 netns "$server" type veth peer name eth1 netns "$gateway"
address() { nsenter -t "$1" -n ip addr add "$3" dev "$2" ${4:-}; }
address "$client" eth0 192.0.2.10/24;    address "$client" eth0 2001:db8:1::10/64 nodad
address "$gateway" eth0 192.0.2.1/24;    address "$gateway" eth0 2001:db8:1::1/64 nodad
address "$gateway" eth1 198.51.100.1/24; address "$gateway" eth1 2001:db8:2::1/64 nodad
address "$server" eth0 198.51.100.20/24; address "$server" eth0 2001:db8:2::20/64 nodad
for end in "$client eth0" "$gateway eth0" "$gateway eth1" "$server eth0"; do
    set -- $end
    plain "$1" "$2"
    nsenter -t "$1" -n ip link set lo up
    nsenter -t "$1" -n ip link set "$2" up
done
in_client ip route add default via 192.0.2.1;       in_client ip -6 route add default via 2001:db8:1::1
in_server ip route add default via 198.51.100.1;    in_server ip -6 route add default via 2001:db8:2::1
in_gateway sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

mkdir "$work/ftp"; chmod 755 "$work" "$work/ftp"
printf 'The quick brown fox jumps over the lazy dog.\n' > "$work/ftp/fox.txt"
seq 1 1500 > "$work/ftp/numbers.txt"
cat > "$work/vsftpd.conf" <<CONF
listen=NO
listen_ipv6=YES
background=NO
anonymous_enable=YES
anon_root=$work/ftp
no_anon_password=YES
connect_from_port_20=YES
secure_chroot_dir=$work/ftp
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
CONF
chown root "$work/vsftpd.conf"
# A function in the background is a shell of its own, whose end is not that of the program.
serve() { nsenter -t "$server" -n "$@" >/dev/null 2>&1 </dev/null & pids+=($!); }
serve vsftpd "$work/vsftpd.conf"
serve python3 -m http.server --bind :: --directory "$work/ftp" 80
cat > "$work/dns.py" <<'PY'
# Answers every A query with 198.51.100.20.
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 53))
while True:
    q, who = s.recvfrom(512)
    a = q[:2] + b"\x81\x80" + q[4:6] + b"\0\1\0\0\0\0" + q[12:]
    s.sendto(a + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x33\x64\x14", who)
PY
serve python3 "$work/dns.py"
sleep 1

record() {
    nsenter -t "$gateway" -n tcpdump -Z root -i eth0 -s 0 -U --immediate-mode \
        -w "$here/captures/$1" "$2" >/dev/null 2>&1 </dev/null & capture=$!
    pids+=($capture)
    sleep 0.7
}
stop() { sleep 0.7; kill "$capture"; wait "$capture" 2>/dev/null || true; }

cat > "$work/ftp.py" <<'PY'
# One session: a passive and an active download, by the extended commands over IPv6.
import ftplib, sys
ftp = ftplib.FTP(sys.argv[1], timeout=5)
ftp.login()
lines = []
ftp.set_pasv(True); ftp.retrlines("RETR fox.txt", lines.append)
ftp.set_pasv(False); ftp.retrlines("RETR numbers.txt", lines.append)
ftp.quit()
assert len(lines) == 1501, len(lines)
PY
record ftp.pcap "ip and host 192.0.2.10"
in_client python3 "$work/ftp.py" 198.51.100.20
stop
record ftp-v6.pcap "ip6 and host 2001:db8:1::10 and not icmp6"
in_client python3 "$work/ftp.py" 2001:db8:2::20
stop

cat > "$work/dns-query.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1", ("198.51.100.20", int(sys.argv[1])))
try: print(len(s.recv(512)))
except OSError as e: print(e)
PY
record mix.pcap "host 192.0.2.10 or (ip6 and host 2001:db8:1::10)"
in_client python3 "$work/dns-query.py" 53
in_client curl -sS -o /dev/null http://198.51.100.20/numbers.txt
in_client curl -sS -o /dev/null "http://[2001:db8:2::20]/fox.txt"
in_client ping -q -c 3 -i 0.2 198.51.100.20
in_client ping -q -c 2 -i 0.2 2001:db8:2::20
# A closed TCP port answers with a reset, a closed UDP port with an ICMP error.
in_client curl -sS -m 2 http://198.51.100.20:8080/ || true
in_client python3 "$work/dns-query.py" 5353
# The gateway answers a packet whose TTL ends there.
in_client ping -q -c 1 -t 1 -W 1 198.51.100.20 || true
# Telnet, which the example rules reject.
in_client curl -sS -m 2 telnet://198.51.100.20:23 </dev/null || true
stop
ls -l "$here"/captures
