using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;
using Oxen.Router.Udp;

namespace Oxen.Router.Tests.Udp;

public sealed class UdpShapesTests
{
    [Fact]
    public void The_routers_batches_have_the_layout_that_native_reads() => Assert.Null(UdpShapes.Failure());

    [Fact]
    public void Both_sides_cut_sends_at_the_same_size()
    {
        Assert.Equal(TransmitBatch.MaxSegments, UdpSender.MaxSegments);
        Assert.Equal(TransmitBatch.MaxSendBytes, UdpSender.MaxSendBytes);
        Assert.Equal(45, TransmitBatch.SegmentsPerSend(1424));
    }
}
