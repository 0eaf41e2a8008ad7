"""What real programs do in the tests of the router: UDP with answers, the way of a packet hop by hop,
a server that counts what it is sent, one that tells who is there, TFTP, a SIP call."""

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
elif what in ('call', 'serve-call'):
    # A SIP call (RFC 3261) in which each side sends the other 30 packets of sound.
    import os, subprocess, tempfile, time
    folder = tempfile.mkdtemp()
    media = os.path.join(folder, 'media.pcap')
    with open(media, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n in range(30):
            rtp = struct.pack('>BBHII', 0x80, 8, n, n * 160, 7) + bytes(160)
            udp = struct.pack('>HHHH', 6000, 6000, 8 + len(rtp), 0) + rtp
            ip = struct.pack('>BBHIBBHII', 0x45, 0, 20 + len(udp), 0, 64, 17, 0, 1 << 24, 2 << 24)
            frame = bytes(12) + b'\x08\0' + ip + udp
            out.write(struct.pack('<IIII', 0, n * 20000, len(frame), len(frame)) + frame)
    built_in = 'uac_pcap' if what == 'call' else 'uas'
    scenario = subprocess.run(['sipp', '-sd', built_in], capture_output=True, text=True).stdout
    play = f'<nop><action><exec play_pcap_audio="{media}"/></action></nop><pause milliseconds="1200"/>'
    if what == 'call':
        start, end = scenario.index('<nop>'), scenario.index('<send retrans="500">', 2000)
        scenario = scenario[:start] + play + scenario[end:]
    else:
        # The ACK is one that may fail to come; here it has to.
        acknowledged, end = scenario.index('optional="true"'), scenario.index('<recv request="BYE">')
        scenario = scenario[:acknowledged] + scenario[acknowledged + 15:end] + play + scenario[end:]
    path = os.path.join(folder, 'scenario.xml')
    with open(path, 'w') as out:
        out.write(scenario)
    own = host if what == 'serve-call' else sys.argv[4]
    command = ['sipp', '-sf', path, '-i', own, '-mi', own, '-p', '5060', '-nostdin', '-m', '1']
    os.chdir(folder)
    if what == 'serve-call':
        while True:
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.1)
    def received():
        names, values = [line.split() for line in open('/proc/net/snmp') if line.startswith('Ip:')]
        return int(values[names.index('InDelivers')])
    before = received()
    done = subprocess.run(command + ['-timeout', '15', f'{host}:{port}'],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print('call', done.returncode, 'media', received() - before >= 30)
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
