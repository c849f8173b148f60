namespace Oxen.Ons.Ledger;

// A signed operation:
//
//   0       1      version (1)
//   1       1      kind
//   2       32     signer's Ed25519 key
//   34      8      nonce: the number of this signer's operation, from 0
//   42      8      the last height that may hold it; 0 any
//   50      ...    body: length varint, bytes
//   end-64  64     signature over "oxen-ledger-operation-1", 0, id
//
// The id is BLAKE2b-256 over a tag, the network's id and everything before the signature: it does not hang on the signature's
// form, and what is signed for one network is nothing on another.

/// <summary>One operation as it was received: its form is right, its signature and sense are not yet looked at.</summary>
internal sealed class Operation
{
    public const int MaxBytes = 4096;

    private static ReadOnlySpan<byte> SignTag => "oxen-ledger-operation-1"u8;

    private Operation(byte[] encoded, Bytes32 id, Bytes32 signer, ulong nonce, ulong validUntil, OperationBody body)
    {
        (Encoded, Id, Signer, Nonce, ValidUntil, Body) = (encoded, id, signer, nonce, validUntil, body);
    }

    public byte[] Encoded { get; }

    /// <summary>Names the operation; the "previous operation" of a later one.</summary>
    public Bytes32 Id { get; }

    public Bytes32 Signer { get; }

    public ulong Nonce { get; }

    public ulong ValidUntil { get; }

    public OperationBody Body { get; }

    /// <summary>Set by whoever has checked the signature of exactly these bytes.</summary>
    public bool SignatureChecked { get; set; }

    public bool VerifySignature() => SignatureChecked = LedgerSignature.Verify(Signer, SignTag, Id, Encoded.AsSpan(Encoded.Length - LedgerSignature.Bytes));

    public static Operation? Read(ReadOnlySpan<byte> bytes, Bytes32 network)
    {
        if (bytes.Length > MaxBytes) return null;
        var reader = new LedgerReader(bytes);
        if (reader.U8() != 1) return null;
        byte kind = reader.U8();
        Bytes32 signer = reader.Bytes32();
        ulong nonce = reader.U64(), until = reader.U64();
        byte[] body = reader.Blob(MaxBytes);
        reader.Bytes(LedgerSignature.Bytes);
        if (!reader.Done) return null;
        OperationBody? read = OperationBody.Read((OperationKind)kind, body);
        return read is null ? null : new Operation(bytes.ToArray(), IdOf(bytes[..^LedgerSignature.Bytes], network), signer, nonce, until, read);
    }

    public static Operation Create(OperationBody body, LedgerKey signer, ulong nonce, Bytes32 network, ulong validUntil = 0)
    {
        var inner = new LedgerWriter();
        body.Write(inner);
        var writer = new LedgerWriter();
        writer.U8(1).U8((byte)body.Kind).Bytes(signer.Id).U64(nonce).U64(validUntil).Blob(inner.Written);
        Bytes32 id = IdOf(writer.Written, network);
        writer.Bytes(signer.Sign(SignTag, id));
        return new Operation(writer.ToArray(), id, signer.Id, nonce, validUntil, body);
    }

    private static Bytes32 IdOf(ReadOnlySpan<byte> unsigned, Bytes32 network)
    {
        Span<byte> net = stackalloc byte[Bytes32.Length];
        network.CopyTo(net);
        return LedgerHash.Of("oxen-ledger-operation-id-1"u8, net, unsigned);
    }
}
