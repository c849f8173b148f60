using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Testing;

namespace Oxen.Fuzz.Tunnel;

/// <summary>Packet work of the tunnel on any bytes: never an exception, and every offset stays inside.</summary>
public sealed class TunnelPacketFuzz
{
    [Fact]
    public void Whatever_is_classified_can_be_worked_on()
    {
        var entropy = new SeededEntropy(73);
        byte[] work = new byte[160], reply = new byte[IcmpReply.LongestReply];
        ReadOnlySpan<byte> kinds = [0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 132, 135, 200];
        int accepted = 0;
        for (int i = 0; i < 200_000; i++)
        {
            int length = 20 + entropy.Next(140), kind = kinds[entropy.Next(kinds.Length)];
            entropy.FillPublic(work);
            bool four = i % 2 == 0;
            work[0] = (byte)(four ? 0x45 + entropy.Next(3) : 0x60);
            (work[four ? 2 : 4], work[four ? 3 : 5]) = (0, (byte)(four ? length : Math.Max(0, length - 40)));
            if (four) (work[6], work[7]) = (0, 0);
            work[four ? 9 : 6] = (byte)kind;
            if (!four) (work[40], work[41]) = (kinds[entropy.Next(kinds.Length)], (byte)entropy.Next(3));
            if (four) InternetChecksum.WriteHeader4(work);
            Span<byte> packet = work.AsSpan(0, length);
            if (IpClassifier.Read(packet, out IpPacket p) != DropReason.None) continue;
            accepted++;
            Assert.InRange(p.HeaderBytes, 20, p.Length);
            Assert.InRange(p.Length, p.PayloadOffset, length);
            IcmpReply.Write(packet, in p, IcmpError.NoRoute, 1, reply);
            MssClamp.Apply(packet, in p, false);
            AddressTranslation.RewriteSource(packet, ref p, 77, false);
            AddressTranslation.RewriteDestination(packet, ref p, 78, true);
        }

        Assert.True(accepted > 10_000, $"only {accepted} accepted");
    }
}
