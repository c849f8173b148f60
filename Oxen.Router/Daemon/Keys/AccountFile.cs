using System.Security.Cryptography;
using System.Text;
using Oxen.Ons.Ledger;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Keys;

// The key file of a ledger account, three lines of ASCII (docs/oxen.md#key-files):
//
//   oxen account 1
//   id: <64 hex>           the account: its Ed25519 key; must belong to the seed
//   seed: <64 hex>         the Ed25519 seed, the secret
internal static class AccountFile
{
    private const string Magic = "oxen account 1";

    /// <summary>Makes a new key and writes it. Never overwrites.</summary>
    public static Bytes32 Create(string path)
    {
        byte[] seed = RandomNumberGenerator.GetBytes(LedgerSignature.SeedBytes);
        try
        {
            using var key = new LedgerKey(seed);
            SecretFile.Create(path, SecretFile.Format($"{Magic}\nid: {key.Id}\nseed: ", seed));
            return key.Id;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Opens a key file. The caller owns the key and ends it.</summary>
    public static LedgerKey Load(string path)
    {
        if (!File.Exists(path)) throw new Terminal.UserException(Terminal.ExitCode.Keys, "OXN4001", $"{path} does not exist", $"Make an account with `oxen wallet new --out {path}`.");
        return SecretFile.Read(path, IdentityFile.RelayRole, text => Parse(path, text));
    }

    private static LedgerKey Parse(string path, ReadOnlySpan<byte> text)
    {
        text = SecretFile.AfterMagic(path, text, Magic);
        if (!Bytes32.TryParse(Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "id")), out Bytes32 id)) throw SecretFile.Garbled(path, "its id is not 64 hexadecimal digits");
        byte[] seed = new byte[LedgerSignature.SeedBytes];
        try
        {
            SecretFile.LastLine(path, text, "seed", seed);
            var key = new LedgerKey(seed);
            if (key.Id == id) return key;
            key.Dispose();
            throw SecretFile.Garbled(path, "its id does not belong to its seed");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }
}
