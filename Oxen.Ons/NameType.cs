namespace Oxen.Ons;

/// <summary>What a name stands for. The numbers are those of the ledger and of its RPC.</summary>
public enum NameType : byte
{
    /// <summary>A messenger account: 33 bytes, 0x05 and an X25519 key.</summary>
    Session = 0,

    /// <summary>An OXEN address: 65 bytes, or 73 with a payment id.</summary>
    Wallet = 1,

    /// <summary>A .loki address: a 32-byte Ed25519 key. Such names end in `.loki`, and they expire.</summary>
    Lokinet = 2,
}
