using System.Security.Cryptography;
using System.Text;

namespace Oxen.Router.Hosting.Files;

/// <summary>
/// Small files of `name: value` lines that hold a secret. Mode 0600: whoever else can read one can be its owner. An open file is
/// refused, not repaired: it may have been read. Never overwritten.
/// </summary>
internal static class SecretFile
{
    private const int MaxBytes = 1024;

    /// <summary>Takes the parts of a file that has been read; spans are wiped when it returns.</summary>
    public delegate T Parser<out T>(ReadOnlySpan<byte> text);

    /// <summary>Writes a new file in a directory of ours. The text is wiped.</summary>
    public static void Create(string path, byte[] text)
    {
        try
        {
            OwnerOnly.CreateDirectoryOf(path);
            using FileStream file = OwnerOnly.Create(path);
            file.Write(text);
            file.Flush(flushToDisk: true);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw Exists(path, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <param name="role">What `oxen keygen` would make it as, for the remedy.</param>
    public static T Read<T>(string path, string role, Parser<T> parse)
    {
        byte[] text = new byte[MaxBytes + 1];
        try
        {
            int length;
            using (FileStream file = File.OpenRead(path))
            {
                if (OwnerOnly.IsOpen(file))
                {
                    throw new OxenException("OXN4002", $"{path} can be read or changed by others", $"Run `chmod 600 {path}`. If others had access, make a new key instead (`oxen keygen` makes a router's).");
                }

                length = file.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            }

            if (length > MaxBytes) throw Garbled(path, $"it has more than {MaxBytes} bytes");
            return parse(text.AsSpan(0, length));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new OxenException("OXN4001", $"{path} does not exist", $"Make a key with `oxen keygen --role {role} --out {Path.GetDirectoryName(Path.GetFullPath(path))}`.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>The first line names the format and its version.</summary>
    public static ReadOnlySpan<byte> AfterMagic(string path, ReadOnlySpan<byte> text, string magic) =>
        text.StartsWith(Encoding.ASCII.GetBytes(magic + "\n")) ? text[(magic.Length + 1)..] : throw Garbled(path, $"it does not begin with `{magic}`");

    /// <summary>Takes the line `name: …` off the front.</summary>
    public static ReadOnlySpan<byte> Line(string path, ref ReadOnlySpan<byte> text, string name)
    {
        int end = text.IndexOf((byte)'\n');
        byte[] head = Encoding.ASCII.GetBytes(name + ": ");
        if (end < 0 || !text.StartsWith(head)) throw Garbled(path, $"its line `{name}: …` is missing");
        ReadOnlySpan<byte> value = text[head.Length..end];
        text = text[(end + 1)..];
        return value;
    }

    /// <summary>The last line: the secret, in hexadecimal, of exactly this length.</summary>
    public static void LastLine(string path, ReadOnlySpan<byte> text, string name, Span<byte> secret)
    {
        ReadOnlySpan<byte> hex = Line(path, ref text, name);
        if (hex.Length != 2 * secret.Length || Convert.FromHexString(hex, secret, out _, out int written) != System.Buffers.OperationStatus.Done || written != secret.Length)
        {
            throw Garbled(path, $"its {name} is not {2 * secret.Length} hexadecimal digits");
        }

        if (!text.IsEmpty) throw Garbled(path, $"something follows its {name}");
    }

    /// <summary>`head`, then `secret` in hexadecimal and a line feed.</summary>
    public static byte[] Format(string head, ReadOnlySpan<byte> secret)
    {
        byte[] text = new byte[head.Length + 2 * secret.Length + 1];
        Encoding.ASCII.GetBytes(head, text);
        Convert.TryToHexStringLower(secret, text.AsSpan(head.Length), out _);
        text[^1] = (byte)'\n';
        return text;
    }

    public static OxenException Exists(string path, Exception? inner = null) =>
        new("OXN4006", $"{path} exists", "A key is never overwritten: move the old one away, or choose another directory with --out.", inner);

    public static OxenException Garbled(string path, string how) =>
        new("OXN4003", $"{path} is not a key file of ours: {how}", "Restore it from a copy, or make a new key (`oxen keygen` makes a router's); a new key is a new name.");
}
