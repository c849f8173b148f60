using System.ComponentModel;
using System.Diagnostics;

namespace Oxen.Router.Exit;

/// <summary>Gives rules to the program nft (nft(8)): all of a text or nothing of it takes effect.</summary>
internal static class NftProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // The second and third for users whose PATH has no sbin.
    private static readonly string[] Places = ["nft", "/usr/sbin/nft", "/sbin/nft"];

    /// <exception cref="ExitNatException">It is not installed, or refuses.</exception>
    public static void Apply(string rules)
    {
        using Process nft = Start("-f", "-");
        Task<string> errors = nft.StandardError.ReadToEndAsync();
        try
        {
            nft.StandardInput.Write(rules);
            nft.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended early; its words say why.
        }

        if (!nft.WaitForExit(Patience))
        {
            nft.Kill();
            throw new ExitNatException(ExitNatFault.Refused, $"nft did not end within {Patience.TotalSeconds} s");
        }

        if (nft.ExitCode != 0) throw Refused(errors.GetAwaiter().GetResult(), nft.ExitCode);
    }

    /// <summary>A table as nft writes it, with its counters; null: there is none.</summary>
    /// <exception cref="ExitNatException">It is not installed, or refuses.</exception>
    public static string? Show(string family, string table)
    {
        using Process nft = Start("list", "table", family, table);
        nft.StandardInput.Close();
        Task<string> errors = nft.StandardError.ReadToEndAsync(), text = nft.StandardOutput.ReadToEndAsync();
        if (!nft.WaitForExit(Patience))
        {
            nft.Kill();
            throw new ExitNatException(ExitNatFault.Refused, $"nft did not end within {Patience.TotalSeconds} s");
        }

        if (nft.ExitCode == 0) return text.GetAwaiter().GetResult();
        string words = errors.GetAwaiter().GetResult();
        return words.Contains("No such file or directory", StringComparison.Ordinal) ? null : throw Refused(words, nft.ExitCode);
    }

    private static ExitNatException Refused(string errors, int code)
    {
        string words = errors.Split('\n').FirstOrDefault(l => l.Length > 0) ?? $"exit code {code}";
        return words.Contains("Operation not permitted", StringComparison.Ordinal)
            ? new ExitNatException(ExitNatFault.NotPermitted, "nft may not change this machine's rules")
            : new ExitNatException(ExitNatFault.Refused, $"nft: {words.Trim()}");
    }

    private static Process Start(params string[] arguments)
    {
        foreach (string place in Places)
        {
            try
            {
                var start = new ProcessStartInfo(place, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
                start.Environment["LC_ALL"] = "C";
                return Process.Start(start)!;
            }
            catch (Win32Exception e) when (e.NativeErrorCode is 2 or 13)
            {
                // Not there.
            }
        }

        throw new ExitNatException(ExitNatFault.NoNft, "the program nft is not installed");
    }
}
