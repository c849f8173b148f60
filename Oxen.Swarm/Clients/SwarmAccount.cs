using System.Text;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Clients;

/// <summary>A person's account that can sign: network byte 5 and the X25519 key that belongs to an Ed25519 seed. docs/protocol/swarm.md#accounts</summary>
public sealed class SwarmAccount : IDisposable
{
    private readonly SwarmIdentity _keys;

    /// <summary>Takes the keys from an Ed25519 seed of 32 bytes; the caller wipes its copy.</summary>
    /// <exception cref="ArgumentException">Not 32 bytes.</exception>
    public SwarmAccount(ReadOnlySpan<byte> seed)
    {
        _keys = new SwarmIdentity(seed);
        Span<byte> id = stackalloc byte[AccountId.Bytes];
        id[0] = AccountId.PersonNetwork;
        _keys.X25519.Span.CopyTo(id[1..]);
        AccountId.TryRead(id, allowTestNetwork: false, out AccountId account);
        Id = account;
    }

    /// <summary>The account.</summary>
    public AccountId Id { get; }

    /// <summary>The Ed25519 public key, 32 bytes.</summary>
    public ReadOnlyMemory<byte> Ed25519 => _keys.Ed25519;

    /// <summary>Wipes the keys.</summary>
    public void Dispose() => _keys.Dispose();

    internal string Sign(string text) => Convert.ToBase64String(_keys.Sign(Encoding.ASCII.GetBytes(text)));
}
