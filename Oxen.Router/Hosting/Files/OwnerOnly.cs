namespace Oxen.Router.Hosting.Files;

/// <summary>Files and directories that only their owner may read or change: mode 0600 and 0700.</summary>
internal static class OwnerOnly
{
    private const UnixFileMode FileMode600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>A file that was not there before.</summary>
    /// <exception cref="IOException">It was, or the disk is full, and the like.</exception>
    public static FileStream Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = FileMode600;
        return new FileStream(path, options);
    }

    /// <summary>The directory that this file is to lie in. One that is there keeps its mode.</summary>
    public static void CreateDirectoryOf(string path)
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(directory);
        else Directory.CreateDirectory(directory, FileMode600 | UnixFileMode.UserExecute);
    }

    /// <summary>Others may read, change or enter it.</summary>
    public static bool IsOpen(FileStream file) => !OperatingSystem.IsWindows() && (File.GetUnixFileMode(file.SafeFileHandle) & Others) != 0;
}
