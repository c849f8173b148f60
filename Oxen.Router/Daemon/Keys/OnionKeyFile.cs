using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Keys;

// The onion key file, three lines of ASCII (docs/oxen.md#key-files):
//
//   oxen onion key 1
//   id: <16 hex>           as docs/protocol/directory.md computes it; must belong to the seed
//   seed: <192 hex>        X25519 secret 32 || ML-KEM-768 seed 64, the secret
internal static class OnionKeyFile
{
    public const string Name = "onion.key";
    private const string Magic = "oxen onion key 1";

    /// <summary>Makes a new key and writes it. Never overwrites.</summary>
    public static string Create(string directory)
    {
        string path = Path.Combine(directory, Name);
        Write(path, RandomNumberGenerator.GetBytes(OnionKeyPair.SeedBytes));
        return path;
    }

    /// <summary>Writes a key; the seed is wiped.</summary>
    public static void Write(string path, byte[] seed)
    {
        try
        {
            using var pair = new OnionKeyPair(seed);
            SecretFile.Create(path, SecretFile.Format(string.Create(CultureInfo.InvariantCulture, $"{Magic}\nid: {pair.Id:x16}\nseed: "), seed));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>
    /// Writes the next key and keeps the one before under another name; the seed is wiped. At every moment one whole current key is
    /// there: a crash in between leaves the new one as FILE.new, where <see cref="LoadRing"/> finds it.
    /// </summary>
    public static void Rotate(string path, byte[] seed)
    {
        string fresh = path + ".new";
        try
        {
            File.Delete(fresh); // of a rotation that was cut short before it counted
            Write(fresh, seed);
            if (File.Exists(path)) File.Move(path, PreviousOf(path), overwrite: true);
            File.Move(fresh, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    /// <summary>The current key, the one before as long as it serves, and how old the current one is.</summary>
    /// <param name="now">The wall clock's.</param>
    public static (OnionKeyPair Current, OnionKeyPair? Previous, TimeSpan Age) LoadRing(string path, DateTimeOffset now)
    {
        if (!File.Exists(path) && File.Exists(path + ".new")) File.Move(path + ".new", path);
        OnionKeyPair current = Load(path);
        TimeSpan age = now - File.GetLastWriteTimeUtc(path);
        if (age < TimeSpan.Zero) age = TimeSpan.Zero;
        string previous = PreviousOf(path);
        try
        {
            if (age < OnionKeyRing.Term) return (current, File.Exists(previous) ? Load(previous) : null, age);
            File.Delete(previous); // its day is over
            return (current, null, age);
        }
        catch
        {
            current.Dispose();
            throw;
        }
    }

    /// <summary>Where the key before the current one is kept.</summary>
    public static string PreviousOf(string path) => path + ".previous";

    /// <summary>Opens a key file. The caller owns the key and ends it.</summary>
    public static OnionKeyPair Load(string path) => SecretFile.Read(path, IdentityFile.RelayRole, text => Parse(path, text));

    private static OnionKeyPair Parse(string path, ReadOnlySpan<byte> text)
    {
        text = SecretFile.AfterMagic(path, text, Magic);
        if (!ulong.TryParse(Encoding.ASCII.GetString(SecretFile.Line(path, ref text, "id")), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong id)) throw SecretFile.Garbled(path, "its id is not 16 hexadecimal digits");
        byte[] seed = new byte[OnionKeyPair.SeedBytes];
        try
        {
            SecretFile.LastLine(path, text, "seed", seed);
            var pair = new OnionKeyPair(seed);
            if (pair.Id == id) return pair;
            pair.Dispose();
            throw SecretFile.Garbled(path, "its id does not belong to its seed");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }
}
