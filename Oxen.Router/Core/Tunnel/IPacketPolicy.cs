using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Tunnel;

/// <summary>What an exit lets out of its tunnel. One thread asks an instance; asking allocates nothing.</summary>
internal interface IPacketPolicy
{
    /// <summary>None: the packet may leave. Its source has been checked before.</summary>
    /// <param name="packet">What the classifier found in `bytes`.</param>
    /// <param name="bytes">The whole packet.</param>
    DropReason Check(in IpPacket packet, ReadOnlySpan<byte> bytes);
}
