using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Hosting.Files;

// Key files of hidden services (docs/oxen.md#key-files), three lines of ASCII each:
//
//   oxen service 1                       the service's own
//   address: <52 digits>.loki            must belong to the seed
//   seed: <64 hex>                       the Ed25519 seed, the secret
//
//   oxen service client 1                of a client that services let in by its key
//   key: <64 hex>                        X25519; must belong to the secret
//   secret: <64 hex>
internal static class ServiceKeyFile
{
    public const string ServiceRole = "service";
    public const string ClientRole = "client";
    public const string ServiceName = "service.key";
    public const string ClientName = "client.key";
    private const string ServiceMagic = "oxen service 1";
    private const string ClientMagic = "oxen service client 1";

    /// <summary>Reads the file, or makes a key and writes it where there is none. The caller wipes the seed.</summary>
    /// <exception cref="OxenException">The file cannot be read or written, is open to others, or holds something else.</exception>
    public static (byte[] Seed, ServiceAddress Address) LoadOrCreateService(string path)
    {
        if (Directory.Exists(path)) throw OxenException.FileTrouble(path, "it is a directory, and the key of a hidden service is a file");
        if (!File.Exists(path)) CreateServiceFile(path);
        return LoadService(path);
    }

    /// <summary>Makes a service's key and writes it. Never overwrites.</summary>
    public static (string Path, ServiceAddress Address) CreateService(string directory) => CreateServiceFile(Path.Combine(directory, ServiceName));

    private static (string Path, ServiceAddress Address) CreateServiceFile(string path)
    {
        byte[] seed = RandomNumberGenerator.GetBytes(ServiceKey.SeedBytes);
        try
        {
            using var key = new ServiceKey(seed);
            SecretFile.Create(path, SecretFile.Format($"{ServiceMagic}\naddress: {key.Address}\nseed: ", seed));
            return (path, key.Address);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Makes a client's key and writes it. Never overwrites. Gives the public half, in hexadecimal.</summary>
    public static (string Path, string Key) CreateClient(string directory)
    {
        string path = Path.Combine(directory, ClientName);
        byte[] secret = RandomNumberGenerator.GetBytes(X25519.SecretKeyBytes);
        try
        {
            string key = PublicHalf(secret);
            SecretFile.Create(path, SecretFile.Format($"{ClientMagic}\nkey: {key}\nsecret: ", secret));
            return (path, key);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    /// <summary>The seed of a service. The caller wipes it.</summary>
    public static (byte[] Seed, ServiceAddress Address) LoadService(string path) => SecretFile.Read(path, ServiceRole, text =>
    {
        text = SecretFile.AfterMagic(path, text, ServiceMagic);
        if (!ServiceAddress.TryParse(Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "address")), out ServiceAddress address)) throw SecretFile.Garbled(path, "its address is none of a hidden service");
        byte[] seed = new byte[ServiceKey.SeedBytes];
        SecretFile.LastLine(path, text, "seed", seed);
        using var key = new ServiceKey(seed);
        if (key.Address != address) throw SecretFile.Garbled(path, "its address does not belong to its seed");
        return (seed, address);
    });

    /// <summary>The X25519 secret of a client. The caller wipes it.</summary>
    public static byte[] LoadClient(string path) => SecretFile.Read(path, ClientRole, text =>
    {
        text = SecretFile.AfterMagic(path, text, ClientMagic);
        string key = Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "key"));
        byte[] secret = new byte[X25519.SecretKeyBytes];
        SecretFile.LastLine(path, text, "secret", secret);
        if (PublicHalf(secret) != key) throw SecretFile.Garbled(path, "its key does not belong to its secret");
        return secret;
    });

    private static string PublicHalf(byte[] secret)
    {
        Span<byte> key = stackalloc byte[X25519.PublicKeyBytes];
        X25519.PublicKey(secret, key);
        return Convert.ToHexStringLower(key);
    }
}
