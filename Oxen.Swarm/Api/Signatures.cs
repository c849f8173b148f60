using System.Globalization;
using System.Text;
using NSec.Cryptography;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

/// <summary>What a subaccount may do; the second byte of its token.</summary>
[Flags]
internal enum Access
{
    None = 0,
    Read = 1,
    Write = 2,
    Delete = 4,

    /// <summary>The token serves accounts of any network byte.</summary>
    AnyPrefix = 8,
}

// Signatures of clients. Texts are ASCII pieces without separators: docs/protocol/swarm.md#signatures
//
//   token of a subaccount   network 1 | flags 1 | reserved 2 | Ed25519 key 32        signed by the account

/// <summary>Checks signatures of accounts and subaccounts.</summary>
internal static class Signatures
{
    /// <summary>A namespace in a signed text: nothing for 0, `all` for all.</summary>
    public static string Space(short? space) => space is { } s ? s == 0 ? "" : s.ToString(CultureInfo.InvariantCulture) : "all";

    public static byte[] Text(params ReadOnlySpan<object> parts)
    {
        var text = new StringBuilder();
        foreach (object part in parts)
        {
            if (part is IEnumerable<MessageKey> keys) foreach (MessageKey key in keys) text.Append(key.ToString());
            else if (part is IEnumerable<long> numbers) text.AppendJoin("", numbers.Select(n => n.ToString(CultureInfo.InvariantCulture)));
            else if (part is IEnumerable<byte[]> raw) foreach (byte[] bytes in raw) text.Append(Encoding.Latin1.GetString(bytes));
            else text.Append(CultureInfo.InvariantCulture, $"{part}");
        }

        return Encoding.Latin1.GetBytes(text.ToString());
    }

    /// <summary>
    /// Whether `text` is signed by the account, or by a subaccount that may do all of `needed`. `revoked` false: nothing is
    /// looked up, revoked subaccounts count too.
    /// </summary>
    /// <exception cref="StoreException">Revocations could not be read.</exception>
    public static bool Verify(ReadOnlySpan<byte> text, AccountId account, RequestAuth auth, Access needed, Func<AccountId, byte[], bool>? isRevoked)
    {
        if (auth.Signature is not { } signature || AccountKey(account, auth) is not { } accountKey) return false;
        if (auth.Subaccount is not { } token) return Verify(text, signature, accountKey);
        if (needed == Access.None) return false; // for the account alone
        var flags = (Access)token[1];
        if (token[0] != account.Network && !flags.HasFlag(Access.AnyPrefix)) return false;
        if ((flags & needed) != needed) return false;
        return auth.SubaccountSignature is { } tokenSignature && Verify(token, tokenSignature, accountKey)
            && isRevoked?.Invoke(account, token) != true && Verify(text, signature, token.AsSpan(4));
    }

    /// <summary>Whether the signer may do this too: the account itself, or a subaccount with the flag.</summary>
    public static bool May(RequestAuth auth, Access access) => auth.Subaccount is not { } token || ((Access)token[1]).HasFlag(access);

    public static bool Verify(ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature, ReadOnlySpan<byte> key) =>
        PublicKey.TryImport(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey, out PublicKey? imported) && SignatureAlgorithm.Ed25519.Verify(imported!, text, signature);

    // A person's account is an X25519 key: the Ed25519 key that comes along must be the one it was made from.
    private static byte[]? AccountKey(AccountId account, RequestAuth auth)
    {
        byte[] bytes = new byte[AccountId.Bytes];
        account.CopyTo(bytes);
        if (auth.Ed25519 is not { } key) return bytes[1..];
        return EdwardsMap.ToX25519(key).AsSpan().SequenceEqual(bytes.AsSpan(1)) ? key : null;
    }
}
