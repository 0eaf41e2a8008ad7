#!/usr/bin/env bash
# The whole walk of an established packet beside what this machine's kernel pays for the same work,
# in one interleaved run: three rounds, medians. One accept rule, full tracking, checksums on.
#
#   crates/engine/benches/beside-kernel.sh [KERNEL-BENCH-DIRECTORY]
#
# The kernel's side is the generator of the shared test material (live XDP frames through a router in
# namespaces of its own); a figure is "forward with conntrack and the rule" minus "forward without
# netfilter". Root, clang, libbpf-dev and gcc. Ours is `cargo bench -p keepstate-engine --bench walk`,
# batches of 32, minus the cost of writing the frame.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
kernel_bench=${1:-$root/../shared/tools/kernel-bench}
[ -d "$kernel_bench" ] || { echo "skipped: no kernel-bench at $kernel_bench"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 0; }
for tool in clang gcc ip iptables-legacy conntrack; do
    command -v "$tool" >/dev/null || { echo "skipped: needs $tool"; exit 0; }
done

work=$(mktemp -d)
buckets=$(cat /proc/sys/net/netfilter/nf_conntrack_buckets)
max=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
finish() {
    for n in pfA pfR pfB; do ip netns del $n 2>/dev/null || true; done
    echo "$buckets" >/proc/sys/net/netfilter/nf_conntrack_buckets
    echo "$max" >/proc/sys/net/netfilter/nf_conntrack_max
    rm -rf "$work"
}
trap finish EXIT

cp "$kernel_bench"/*.{c,sh} "$work"
cd "$work"
clang -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c gen.bpf.c -o gen.bpf.o
gcc -O2 gen.c -o gen -lbpf
echo 2097152 >/proc/sys/net/netfilter/nf_conntrack_buckets # not to handicap it
echo 4194304 >/proc/sys/net/netfilter/nf_conntrack_max
(cd "$root" && cargo bench --quiet -p keepstate-engine --bench walk --no-run)

counts="1 1024 131072 1048576"
kernel_round() {
    set +eu
    . ./lib.sh
    fresh >/dev/null 2>&1
    base=$(g N=1000000)
    $R iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    for protocol in 17 6; do
        for count in $counts; do
            fl
            warm "$count" $protocol
            ns=$(g N=1000000 FLOWS="$count" PROTO=$protocol)
            awk -v p=$protocol -v c="$count" -v n="$ns" -v b="$base" \
                'BEGIN { print (p == 6 ? "tcp" : "udp"), c, n - b }' >>"$work/kernel"
        done
    done
    fl
    ns=$(g N=1000000 FLOWS=16777216 CTR=3000017)
    awk -v n="$ns" -v b="$base" 'BEGIN { print "udp-new 1048576", n - b }' >>"$work/kernel"
    fl
    set -eu
}

# From divan's table: name of the bench, argument, median items a second -> nanoseconds an item.
our_round() {
    (cd "$root" && cargo bench --quiet -p keepstate-engine --bench walk -- \
        --sample-count 100 'established_.*_by_batches|new_udp_by_batches|frame' 2>/dev/null) |
        awk '
            { gsub(/[├╰│─]+/, "|") }
            /_by_|^\|? ?frame/ && !/item\/s/ { name = $2 }
            !/item\/s/ {
                if ($2 ~ /^(true|false|[0-9]+)$/) argument = $2
                else if ($3 ~ /^(true|false|[0-9]+)$/) argument = $3
            }
            /item\/s/ { # fastest, slowest, median, mean
                n = 0
                for (i = 1; i < NF; i++) if ($(i + 1) ~ /item\/s/) value[++n] = $i " " $(i + 1)
                split(value[3], median, " ")
                scale = median[2] ~ /^K/ ? 1e6 : median[2] ~ /^G/ ? 1 : 1e3
                print name, argument, scale / median[1]
            }' >>"$work/ours"
}

for _ in 1 2 3; do
    kernel_round
    our_round
done

awk -v counts="$counts" '
    function median(list,    a, n, i, j, t) {
        n = split(list, a, " ")
        for (i = 1; i < n; i++) for (j = i + 1; j <= n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
        return a[int((n + 1) / 2)]
    }
    FNR == NR { kernel[$1 " " $2] = kernel[$1 " " $2] " " $3; next }
    $1 == "frame" { frame = frame " " $3; next }
    {
        split($1, words, "_")
        kind = words[1] == "new" ? words[2] "-new" : words[2]
        count = $2 == 1000 ? 1024 : $2 == 1000000 ? 1048576 : $2
        ours[kind " " count] = ours[kind " " count] " " $3
    }
    END {
        printf "%-8s %12s %12s %12s %8s\n", "", "connections", "kernel ns", "keepstate ns", "ratio"
        split("udp tcp udp-new", kinds, " ")
        for (k = 1; k <= 3; k++) {
            m = split(counts, c, " ")
            for (i = 1; i <= m; i++) {
                key = kinds[k] " " c[i]
                if (!(key in kernel) || !(key in ours)) continue
                a = median(kernel[key]); b = median(ours[key]) - median(frame)
                printf "%-8s %12d %12.0f %12.0f %8.2f\n", kinds[k], c[i], a, b, b / a
            }
        }
    }' "$work/kernel" "$work/ours"
