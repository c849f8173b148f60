using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Contacts;

/// <summary>The operator's table of networks: `prefix,system,country`, a line each.</summary>
internal static class NetworkFile
{
    private const int MaxLineChars = 256;

    public static NetworkTable Read(string path)
    {
        try
        {
            var table = new NetworkTable();
            int number = 0;
            foreach (string line in File.ReadLines(path))
            {
                number++;
                if (line.Length <= MaxLineChars && table.TryAdd(line.Trim())) continue;
                throw new UserException(ExitCode.Usage, "OXN2003", $"{path}, line {number}: no line of a table of networks", "Lines look like `192.0.2.0/24,64500,de`; system and country may be empty.");
            }

            return table;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }
}
