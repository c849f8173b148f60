namespace Oxen.Ons;

// What a name stands for, in clear. docs/protocol/ons.md#values
//
//   type      text                                      bytes
//   session   66 hexadecimal digits, the first two 05   33   05, X25519 key 32
//   wallet    the bytes in hexadecimal                  65   kind 1 (0 standard, 1 subaddress), spend key 32, view key 32
//                                                       73   kind 2 (integrated), spend key 32, view key 32, payment id 8
//   lokinet   52 characters of z-base-32, .loki         32   Ed25519 key

/// <summary>A value of a name: bytes that were checked, and their text.</summary>
public sealed class NameValue
{
    private const string LokiEnding = ".loki";
    private const int SessionBytes = 33;
    private const int LokinetBytes = ZBase32.KeyBytes;
    private const int WalletBytes = 65;
    private const int IntegratedWalletBytes = 73;
    private const byte SessionPrefix = 0x05;
    private const byte IntegratedKind = 2;

    private readonly byte[] _bytes;

    private NameValue(byte[] bytes, NameType type)
    {
        _bytes = bytes;
        Type = type;
    }

    /// <summary>The type of the name that has this value.</summary>
    public NameType Type { get; }

    /// <summary>33 bytes (session), 65 or 73 (wallet), 32 (lokinet).</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The text that people and programs write; <see cref="Parse"/> reads it again.</summary>
    public string Text => Type == NameType.Lokinet ? ZBase32.Encode(_bytes) + LokiEnding : Convert.ToHexStringLower(_bytes);

    /// <summary>Whether a value of this type may have so many bytes.</summary>
    public static bool IsLength(int length, NameType type) => type switch
    {
        NameType.Session => length == SessionBytes,
        NameType.Wallet => length is WalletBytes or IntegratedWalletBytes,
        NameType.Lokinet => length == LokinetBytes,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "There is no such type of name."),
    };

    /// <summary>Checks bytes, for example just decrypted ones. `value` is null unless the answer is None.</summary>
    public static ValueFault Read(ReadOnlySpan<byte> bytes, NameType type, out NameValue? value)
    {
        value = null;
        if (!IsLength(bytes.Length, type)) return ValueFault.Length;
        bool kind = type switch
        {
            NameType.Session => bytes[0] == SessionPrefix,
            NameType.Wallet => bytes.Length == IntegratedWalletBytes ? bytes[0] == IntegratedKind : bytes[0] < IntegratedKind,
            _ => true,
        };
        if (!kind) return ValueFault.Kind;
        value = new NameValue(bytes.ToArray(), type);
        return ValueFault.None;
    }

    /// <summary>Reads a text. Capital letters count as small ones. `value` is null unless the answer is None.</summary>
    public static ValueFault Parse(string text, NameType type, out NameValue? value)
    {
        string folded = NameRules.Fold(text);
        value = null;
        if (type == NameType.Lokinet)
        {
            if (folded.Length != ZBase32.KeyLength + LokiEnding.Length) return ValueFault.Length;
            Span<byte> key = stackalloc byte[LokinetBytes];
            return folded.EndsWith(LokiEnding, StringComparison.Ordinal) && ZBase32.TryDecode(folded.AsSpan(0, ZBase32.KeyLength), key) ? Read(key, type, out value) : ValueFault.Form;
        }

        if (folded.Length % 2 != 0 || !IsLength(folded.Length / 2, type)) return ValueFault.Length;
        Span<byte> bytes = stackalloc byte[IntegratedWalletBytes];
        if (Convert.FromHexString(folded, bytes, out _, out int written) != System.Buffers.OperationStatus.Done) return ValueFault.Form;
        return Read(bytes[..written], type, out value);
    }
}
