using System.Threading.Channels;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>What the UDP doors ask of the session layer: an association at the exit, a socket of our own there.</summary>
internal interface IOnionDatagrams
{
    /// <exception cref="OnionUnavailableException">There is no path; the message says why, in words for the user.</exception>
    ValueTask<IOnionAssociation> AssociateAsync(IsolationKey isolation, CancellationToken cancel);
}

/// <summary>Unreliable datagrams through one exit socket. Dispose closes that socket.</summary>
internal interface IOnionAssociation : IDisposable
{
    /// <summary>Sends one datagram (a copy is made). False: it was dropped, and counted by whoever dropped it.</summary>
    bool TrySend(in ProxyDestination to, ReadOnlySpan<byte> payload);

    /// <summary>What came back. Bounded: when nobody reads, the oldest are dropped and counted.</summary>
    ChannelReader<OnionDatagram> Received { get; }
}

/// <summary>A datagram that came back through the path, and who sent it to the exit.</summary>
internal readonly record struct OnionDatagram(ProxyDestination From, ReadOnlyMemory<byte> Payload);
