"""What real programs do in the tests of the router: UDP with answers, the way of a packet hop by hop,
a server that counts what it is sent, one that tells who is there, TFTP."""

import socket, sys, struct
what, host = sys.argv[1], sys.argv[2]
port = int(sys.argv[3])
family = socket.AF_INET6 if ':' in host else socket.AF_INET
if what == 'serve-udp':
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((host, port))
    while True:
        data, peer = one.recvfrom(65535)
        one.sendto(data[::-1], peer)
elif what == 'serve-sink':
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(5)
    while True:
        peer, _ = one.accept()
        total = 0
        while data := peer.recv(65536):
            total += len(data)
        peer.sendall(b'%d' % total)
        peer.close()
elif what == 'udp':
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.settimeout(3)
    for size in (1, 1400, 5000):
        data = bytes(i % 251 for i in range(size))
        one.sendto(data, (host, port))
        print(size, one.recv(65535) == data[::-1])
elif what == 'upload':
    one = socket.create_connection((host, port), timeout=10)
    one.sendall(b'x' * 3000000)
    one.shutdown(socket.SHUT_WR)
    print(one.recv(100).decode())
elif what == 'serve-peer':
    # Tells who is there.
    one = socket.create_server((host, port), family=family, dualstack_ipv6=True)
    while True:
        peer, address = one.accept()
        known = address[0].removeprefix('::ffff:')
        peer.sendall(f'{known} {address[1]}'.encode())
        peer.close()
elif what == 'peer':
    one = socket.create_connection((host, port), timeout=5)
    address, seen = one.recv(100).decode().split()
    print(address, 'same port' if int(seen) == one.getsockname()[1] else 'another port')
elif what == 'serve-tftp':
    # RFC 1350, one file of any name: what it is called, often.
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((host, port))
    while True:
        request, peer = one.recvfrom(1000)
        name = request[2:].split(b'\0')[0]
        data = name * (1500 // len(name))
        out = socket.socket(family, socket.SOCK_DGRAM)
        out.settimeout(2)
        try:
            for block in range(1, len(data) // 512 + 2):
                piece = data[(block - 1) * 512:block * 512]
                out.sendto(struct.pack('>HH', 3, block) + piece, peer)
                out.recvfrom(100)
        except OSError:
            pass
elif what == 'tftp':
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.settimeout(3)
    one.sendto(b'\0\1hello\0octet\0', (host, port))
    got = b''
    while True:
        packet, peer = one.recvfrom(1000)
        got += packet[4:]
        one.sendto(b'\0\4' + packet[2:4], peer)
        if len(packet) < 516:
            break
    print(peer[0], len(got), got == b'hello' * 300)
elif what == 'trace':
    six = family == socket.AF_INET6
    level, hops, errors = (41, 16, 25) if six else (0, 2, 11)
    for ttl in range(1, 5):
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.setsockopt(level, hops, ttl)
        one.setsockopt(level, errors, 1)
        one.settimeout(3)
        one.sendto(b'where', (host, port + ttl))
        try:
            try:
                one.recv(10)
            except OSError:
                pass
            _, control, _, _ = one.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            for _, _, data in control:
                if len(data) < 16 + (28 if six else 16):
                    continue
                _, _, kind, code, _, _, _ = struct.unpack('=IBBBBII', data[:16])
                at = data[16 + 8:16 + 24] if six else data[16 + 4:16 + 8]
                print(ttl, kind, code, socket.inet_ntop(family, at))
        except OSError as error:
            print(ttl, error)
