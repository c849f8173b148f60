using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// A packet between client and service, through a rendezvous (docs/protocol/hidden-service.md#packets): the content of command Joined.
//
//   0         8                          1343    1359
//   +---------+--------------------------+-------+
//   | counter | ciphertext (1335)        | tag   |      ChaCha20-Poly1305, nonce = zeros 4 || counter 8
//   +---------+--------------------------+-------+
//
// Inside: records as at an exit (docs/protocol/session.md#records), then zeros; 1332 bytes for one alone. Counters begin at 0, each
// direction has its key, the receiver an exact window of 8192.

/// <summary>Seals and opens what passes a rendezvous, for one side. Single-threaded.</summary>
internal sealed class JointSeal : IDisposable
{
    public const int ContentBytes = RecordLayout.ContentBytes;
    public const int CounterBytes = 8;
    public const int InnerBytes = ContentBytes - CounterBytes - SodiumChaCha20Poly1305.TagBytes;

    /// <summary>What one record alone may hold; the largest QUIC datagram to a service.</summary>
    public const int MaxRecordBytes = InnerBytes - RecordLayout.HeaderBytes;

    /// <summary>A joint lives minutes, so this is never met; it is what the cipher is safe for.</summary>
    private const ulong MaxPackets = 1UL << 40;

    private readonly byte[] _keys = GC.AllocateArray<byte>(64, pinned: true); // sending | receiving
    private readonly ulong[] _window = new ulong[ReplayWindow.Words];
    private ulong _next;

    public JointSeal(JointKeys keys, bool isClient)
    {
        (isClient ? keys.ClientToService : keys.ServiceToClient).CopyTo(_keys);
        (isClient ? keys.ServiceToClient : keys.ClientToService).CopyTo(_keys.AsSpan(32));
    }

    /// <summary>Seals in place: the records stand at <see cref="CounterBytes"/>, `used` bytes of them; the rest becomes zeros. False: the keys are used up.</summary>
    public bool Seal(Span<byte> content, int used)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(content.Length, ContentBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(used, InnerBytes);
        if (_next >= MaxPackets) return false;
        content.Slice(CounterBytes + used, InnerBytes - used).Clear();
        Span<byte> nonce = stackalloc byte[SodiumChaCha20Poly1305.NonceBytes];
        nonce.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], _next);
        BinaryPrimitives.WriteUInt64BigEndian(content, _next++);
        SodiumChaCha20Poly1305.Seal(content.Slice(CounterBytes, InnerBytes), _keys.AsSpan(0, 32), nonce, content[(CounterBytes + InnerBytes)..]);
        return true;
    }

    /// <summary>Opens in place; the records stand at <see cref="CounterBytes"/> then, <see cref="InnerBytes"/> with their padding.</summary>
    public DropReason Open(Span<byte> content)
    {
        if (content.Length != ContentBytes) return DropReason.BadLength;
        ulong counter = BinaryPrimitives.ReadUInt64BigEndian(content);
        if (!ReplayWindow.IsNew(_window, counter)) return DropReason.JointReplay;
        Span<byte> nonce = stackalloc byte[SodiumChaCha20Poly1305.NonceBytes];
        nonce.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], counter);
        if (!SodiumChaCha20Poly1305.Open(content.Slice(CounterBytes, InnerBytes), _keys.AsSpan(32), nonce, content[(CounterBytes + InnerBytes)..])) return DropReason.JointAuthentication;
        ReplayWindow.Mark(_window, counter);
        return DropReason.None;
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_keys);
}
