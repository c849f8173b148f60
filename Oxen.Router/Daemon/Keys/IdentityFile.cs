using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Keys;

// The identity key file, four lines of ASCII (docs/oxen.md#key-file):
//
//   oxen identity 1
//   role: relay            or client
//   id: <64 hex>           the router id; must belong to the seed
//   seed: <64 hex>         the Ed25519 seed, the secret
//
// Mode 0600: whoever else can read it can be this router. An open file is refused, not repaired: it may have been read.
internal static class IdentityFile
{
    public const string Name = "identity.key";
    private const string Magic = "oxen identity 1\n";
    private const int MaxBytes = 512;
    private const UnixFileMode OthersModes = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>Makes a new key and writes it. Never overwrites.</summary>
    public static (string Path, RouterId Id) Create(string directory, string role)
    {
        string path = Path.Combine(directory, Name);
        byte[] seed = RandomNumberGenerator.GetBytes(RouterIdentity.SeedBytes);
        byte[] text = [];
        try
        {
            using var identity = new RouterIdentity(seed);
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            text = Format(role, identity.Id, seed);
            using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
            file.Write(text);
            file.Flush(flushToDisk: true);
            return (path, identity.Id);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw new UserException(ExitCode.Keys, "OXN4006", $"{path} exists", "A key is never overwritten: move the old one away, or choose another directory with --out.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(path, e.Message, e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>Opens a key file. The caller owns the identity and ends it.</summary>
    public static RouterIdentity Load(string path) => Load(path, out _);

    public static RouterIdentity Load(string path, out string role)
    {
        byte[] text = new byte[MaxBytes + 1];
        byte[] seed = new byte[RouterIdentity.SeedBytes];
        try
        {
            int length;
            using (FileStream file = File.OpenRead(path))
            {
                if ((File.GetUnixFileMode(file.SafeFileHandle) & OthersModes) != 0)
                {
                    throw new UserException(ExitCode.Keys, "OXN4002", $"{path} can be read or changed by others", $"Run `chmod 600 {path}`. If others had access, make a new key with `oxen keygen` instead.");
                }

                length = file.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            }

            if (length > MaxBytes) throw Garbled(path, $"it has more than {MaxBytes} bytes");
            return Parse(path, text.AsSpan(0, length), seed, out role);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UserException(ExitCode.Keys, "OXN4001", $"{path} does not exist", $"Make a key with `oxen keygen --out {Path.GetDirectoryName(Path.GetFullPath(path))}`.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(path, e.Message, e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    internal static byte[] Format(string role, RouterId id, ReadOnlySpan<byte> seed)
    {
        byte[] head = Encoding.ASCII.GetBytes($"{Magic}role: {role}\nid: {id}\nseed: ");
        byte[] text = new byte[head.Length + 2 * seed.Length + 1];
        head.CopyTo(text, 0);
        Convert.TryToHexStringLower(seed, text.AsSpan(head.Length), out _);
        text[^1] = (byte)'\n';
        return text;
    }

    private static RouterIdentity Parse(string path, ReadOnlySpan<byte> text, Span<byte> seed, out string role)
    {
        if (!text.StartsWith(Encoding.ASCII.GetBytes(Magic))) throw Garbled(path, "it does not begin with `oxen identity 1`");
        text = text[Magic.Length..];
        role = Encoding.ASCII.GetString(Line(path, ref text, "role"));
        if (role is not ("relay" or "client")) throw Garbled(path, "its role is neither relay nor client");
        ReadOnlySpan<byte> idHex = Line(path, ref text, "id");
        if (!RouterId.TryParse(Encoding.ASCII.GetString(idHex), out RouterId id)) throw Garbled(path, "its id is not 64 hexadecimal digits");
        ReadOnlySpan<byte> seedHex = Line(path, ref text, "seed");
        if (seedHex.Length != 2 * seed.Length || Convert.FromHexString(seedHex, seed, out _, out int written) != System.Buffers.OperationStatus.Done || written != seed.Length)
        {
            throw Garbled(path, "its seed is not 64 hexadecimal digits");
        }

        if (!text.IsEmpty) throw Garbled(path, "something follows its seed");
        var identity = new RouterIdentity(seed);
        if (identity.Id == id) return identity;
        identity.Dispose();
        throw Garbled(path, "its id does not belong to its seed");
    }

    private static ReadOnlySpan<byte> Line(string path, ref ReadOnlySpan<byte> text, string name)
    {
        int end = text.IndexOf((byte)'\n');
        byte[] head = Encoding.ASCII.GetBytes(name + ": ");
        if (end < 0 || !text.StartsWith(head)) throw Garbled(path, $"its line `{name}: …` is missing");
        ReadOnlySpan<byte> value = text[head.Length..end];
        text = text[(end + 1)..];
        return value;
    }

    private static UserException Garbled(string path, string how) =>
        new(ExitCode.Keys, "OXN4003", $"{path} is not an identity key: {how}", "Restore it from a copy, or make a new key with `oxen keygen`; a new key is a new router.");
}
