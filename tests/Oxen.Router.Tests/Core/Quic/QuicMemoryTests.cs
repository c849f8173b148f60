using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

/// <summary>Peers that ask for much and read nothing: what they make an endpoint keep.</summary>
public sealed class QuicMemoryTests
{
    private const long Most = 4 << 20;

    [Fact]
    public void What_was_kept_is_given_back_to_the_last_byte()
    {
        using var pair = new QuicPair(61, serverEndpoint: new QuicEndpointOptions { MaxKeptBytes = Most });
        var transfer = new QuicTransfer(pair, 300_000, 4);
        Assert.True(transfer.Run(TimeSpan.FromSeconds(60)));
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(0, pair.Server.Endpoint.Kept);
        pair.Server.OnEvent = pair.Client.OnEvent = null;
        QuicConnection second = pair.Connect();
        Assert.True(pair.Network.RunUntil(() => pair.Server.Accepted.Count == 2, TimeSpan.FromSeconds(5)));
        Assert.True(second.TryOpenStream(true, out long stream));
        second.Write(stream, new byte[50_000]);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(50_000, pair.Server.Endpoint.Kept); // nobody reads it there
        second.Close(0, "", pair.Network.Now);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(0, pair.Server.Endpoint.Kept);
    }
}
