using Oxen.Router.Core.Quic;

namespace Oxen.Router.Core.Hidden;

/// <summary>A client's session at a service: outlives the rendezvous that carry it. Nothing in it says who the client is.</summary>
internal sealed class HiddenServiceSession(HiddenService service, long number, JointKeys keys) : IDisposable
{
    public HiddenService Service { get; } = service;

    /// <summary>Number inside this service; the QUIC engine's virtual address.</summary>
    public long Number { get; } = number;

    /// <summary>Of its first joint: name and proof of the session.</summary>
    public JointKeys Keys { get; } = keys;

    public UInt128 Id { get; } = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(keys.SessionId);

    public HiddenJoint? Joint { get; set; }

    public QuicConnection? Quic { get; set; }

    /// <summary>When to end it because nothing carries it.</summary>
    public Instant GiveUp { get; set; } = Instant.Never;

    public UdpAddress Address => UdpAddress.FromVirtual((ulong)Number, 0);

    public void Dispose()
    {
        Joint?.Dispose();
        Keys.Dispose();
    }
}
