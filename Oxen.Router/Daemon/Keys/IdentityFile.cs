using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Keys;

// The identity key file, four lines of ASCII (docs/oxen.md#key-files):
//
//   oxen identity 1
//   role: relay            or list: the key that signs contact lists
//   id: <64 hex>           the router id, or the list key; must belong to the seed
//   seed: <64 hex>         the Ed25519 seed, the secret
internal static class IdentityFile
{
    public const string RelayRole = "relay";
    public const string ListRole = "list";
    private const string Magic = "oxen identity 1";

    public static string NameFor(string role) => role == ListRole ? "list.key" : "identity.key";

    /// <summary>Makes a new key and writes it. Never overwrites.</summary>
    public static (string Path, RouterId Id) Create(string directory, string role)
    {
        string path = Path.Combine(directory, NameFor(role));
        byte[] seed = RandomNumberGenerator.GetBytes(RouterIdentity.SeedBytes);
        using var identity = new RouterIdentity(seed);
        CryptographicOperations.ZeroMemory(seed);
        Write(path, role, identity);
        return (path, identity.Id);
    }

    public static void Write(string path, string role, RouterIdentity identity) =>
        SecretFile.Create(path, SecretFile.Format($"{Magic}\nrole: {role}\nid: {identity.Id}\nseed: ", identity.Seed));

    /// <summary>Whether a file begins as an identity does; what it is worth, <see cref="Load(string, string)"/> says.</summary>
    public static bool Is(string path)
    {
        try
        {
            using var reader = new StreamReader(path);
            return reader.ReadLine() == Magic;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Opens a key file of this role. The caller owns the identity and ends it.</summary>
    public static RouterIdentity Load(string path, string expectedRole)
    {
        RouterIdentity identity = Load(path, out string role);
        if (role == expectedRole) return identity;
        identity.Dispose();
        throw SecretFile.Garbled(path, $"its role is {role}, not {expectedRole}");
    }

    public static RouterIdentity Load(string path, out string role)
    {
        (RouterIdentity identity, role) = SecretFile.Read(path, RelayRole, text => Parse(path, text));
        return identity;
    }

    private static (RouterIdentity Identity, string Role) Parse(string path, ReadOnlySpan<byte> text)
    {
        text = SecretFile.AfterMagic(path, text, Magic);
        string role = Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "role"));
        if (role is not (RelayRole or ListRole)) throw SecretFile.Garbled(path, "its role is neither relay nor list");
        if (!RouterId.TryParse(Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "id")), out RouterId id)) throw SecretFile.Garbled(path, "its id is not 64 hexadecimal digits");
        byte[] seed = new byte[RouterIdentity.SeedBytes];
        try
        {
            SecretFile.LastLine(path, text, "seed", seed);
            var identity = new RouterIdentity(seed);
            if (identity.Id == id) return (identity, role);
            identity.Dispose();
            throw SecretFile.Garbled(path, "its id does not belong to its seed");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }
}
