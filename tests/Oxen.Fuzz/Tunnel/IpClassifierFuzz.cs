using System.Globalization;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Fuzz.Tunnel;

/// <summary>The tunnel's classifier and a naive reader of the RFCs agree about every packet: let through or dropped, for what reason, and what stands in it.</summary>
public sealed class IpClassifierFuzz(ITestOutputHelper output)
{
    private const int Inputs = 1_200_000;

    [Fact]
    public void The_classifier_says_what_a_naive_reader_of_the_RFCs_says()
    {
        ulong seed = ulong.TryParse(Environment.GetEnvironmentVariable("OXEN_SEED"), CultureInfo.InvariantCulture, out ulong given) ? given : 20260;
        var maker = new IpPacketMaker(seed);
        var reasons = new SortedDictionary<DropReason, int>();
        byte[] buffer = new byte[4096];
        int past = 0;
        for (int i = 0; i < Inputs; i++)
        {
            int count = maker.Make(buffer);
            var naive = new NaiveIpReader(buffer, 0, count);
            DropReason expected = naive.Read();
            DropReason actual = Classify(buffer.AsSpan(0, count), out IpPacket p);
            if (expected != actual || (expected == DropReason.None && Differs(naive, p) is not null))
                Assert.Fail($"seed {seed}, input {i}: naive {expected}, classifier {actual}; {(expected == actual ? Differs(naive, p) : "")}\n{Convert.ToHexString(buffer.AsSpan(0, count))}");
            if (naive.PastLengths) past++;
            reasons[actual] = reasons.GetValueOrDefault(actual) + 1;
        }

        int accepted = reasons.GetValueOrDefault(DropReason.None);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Inputs} inputs, {100.0 * past / Inputs:F1} % past the first length check, {100.0 * accepted / Inputs:F1} % accepted; {string.Join(", ", reasons.Select(r => $"{r.Key} {r.Value}"))}"));
        Assert.True(past > Inputs * 0.3, "too few get past the first length check");
        Assert.True(accepted > Inputs * 0.3, "too few are accepted");
        foreach (DropReason reason in (DropReason[])[DropReason.BadIpHeader, DropReason.UnknownIpProtocol, DropReason.AddressBoundHeader, DropReason.BadFragment, DropReason.BadTransportHeader, DropReason.IcmpType])
            Assert.True(reasons.GetValueOrDefault(reason) > 2000, $"{reason} was hardly ever tried");
    }

    // Bytes that the two once disagreed about, or that are near a limit: see IpClassifierTests for what is right.
    [Fact]
    public void Any_bytes_at_all_are_judged_alike()
    {
        var maker = new IpPacketMaker(7);
        byte[] buffer = new byte[128];
        for (int i = 0; i < 300_000; i++)
        {
            int count = maker.Next(buffer.Length + 1);
            for (int j = 0; j < count; j++) buffer[j] = (byte)maker.Next(256);
            if (count > 0 && i % 3 != 0) buffer[0] = (byte)(i % 3 == 1 ? 0x45 : 0x60);
            if (count > 5 && i % 3 == 2) (buffer[4], buffer[5]) = (0, (byte)Math.Max(0, count - 40));
            var naive = new NaiveIpReader(buffer, 0, count);
            DropReason expected = naive.Read(), actual = Classify(buffer.AsSpan(0, count), out IpPacket p);
            if (expected != actual || (expected == DropReason.None && Differs(naive, p) is not null))
                Assert.Fail($"input {i}: naive {expected}, classifier {actual}\n{Convert.ToHexString(buffer.AsSpan(0, count))}");
        }
    }

    private static DropReason Classify(ReadOnlySpan<byte> packet, out IpPacket p)
    {
        DropReason reason = IpClassifier.Read(packet, out p);
        return reason == DropReason.None ? IcmpRules.Check(in p) : reason;
    }

    private static string? Differs(NaiveIpReader n, in IpPacket p)
    {
        if (n.Source != p.Source || n.Destination != p.Destination) return "addresses";
        if (n.Length != p.Length) return $"length {n.Length}, {p.Length}";
        if (n.HeaderBytes != p.HeaderBytes) return $"header {n.HeaderBytes}, {p.HeaderBytes}";
        if (n.PayloadOffset != p.PayloadOffset) return $"payload at {n.PayloadOffset}, {p.PayloadOffset}";
        if (n.TransportBytes != p.TransportBytes) return $"transport {n.TransportBytes}, {p.TransportBytes}";
        if (n.FragmentOffset != p.FragmentOffset || n.Identification != p.Identification || n.MoreFragments != p.MoreFragments || n.IsFragment != p.IsFragment || n.DontFragment != p.DontFragment) return "fragment fields";
        if (n.Version != p.Version || n.Protocol != p.Protocol || n.TrafficClass != p.TrafficClass || n.HopLimit != p.HopLimit) return "header fields";
        if (n.SourcePort != p.SourcePort || n.DestinationPort != p.DestinationPort) return "ports";
        return n.HasTransport != p.HasTransport || n.IcmpType != p.IcmpType || n.IcmpCode != p.IcmpCode || n.TcpFlags != p.TcpFlags ? "transport fields" : null;
    }
}
